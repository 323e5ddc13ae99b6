"""The lens over a corpus: how good the reading is at every point of every stage."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import NEUTRAL, OURS
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result

# seaborn's "colorblind" palette and as many markers: a line is known by either.
COLOURS = ("#0173B2", "#DE8F05", "#029E73", "#D55E00", "#CC78BC", "#56616B")
MARKERS = ("o", "s", "^", "D", "v", "P")
LETTERS = 14  # of a token
_POINTS = {
    "hook_embed": "token embedding",
    "hook_embed + hook_pos_embed": "token + position",
    "hook_pooled": "mean of the prefix",
    "hook_resid_pre": "embeddings",
    "hook_resid_mid": "attention",
    "hook_resid_post": "FFN",
    "hook_attn_out": "attention",
    "hook_mlp_out": "FFN",
}


def point_label(point: str) -> str:
    """A point as readers meet it: `"attention 1"` for `"blocks.1.hook_resid_mid"`."""
    found = re.fullmatch(r"blocks\.(\d+)\.(\w+)", point)
    if not found:
        return _POINTS.get(point, point)
    label = _POINTS.get(found[2], found[2])
    return label if found[2] == "hook_resid_pre" else f"{label} {found[1]}"


def token_label(token: str) -> str:
    """A token as readers see it, cut where it would not fit a figure."""
    return label(token, LETTERS)


def streams(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of stages with a residual stream."""
    return table[table["point"].str.contains("hook_resid_")]


def chains(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of stages without one."""
    return table[~table["point"].str.contains("hook_resid_")]


def stream_points(table: pd.DataFrame) -> list[str]:
    """The points of the deepest stream, from which those of the others are taken."""
    rows = streams(table)
    return list(rows.sort_values("order", kind="stable")["point"].unique())


def loss_and_accuracy(result: Result, axes: np.ndarray) -> np.ndarray:
    """Two panels: loss and top-1 accuracy by point, a line for every stage with a stream.

    Args:
        result: The logit lens, with its tables `lens_corpus` and `lens_baselines`.
        axes: One row of two axes.

    Returns:
        The same axes. Bars are the intervals; dashed lines what the frequencies of the tokens
        alone reach, and a dotted one equal probabilities.
    """
    _lines(result, axes[0, 0], ("loss_nats", "low", "high"))
    axes[0, 0].set_ylabel("loss (nats a token)")
    _lines(result, axes[0, 1], ("top1_accuracy", "top1_low", "top1_high"))
    axes[0, 1].set_ylabel("share of first guesses right")
    axes[0, 1].legend(fontsize=11)
    return axes


def _lines(result: Result, ax: Axes, columns: tuple[str, str, str]) -> None:
    table = streams(result.tables["lens_corpus"])
    place = {point: x for x, point in enumerate(stream_points(table))}
    for number, (stage, rows) in enumerate(table.groupby("stage", sort=False)):
        estimate, low, high = (rows[column].to_numpy(float) for column in columns)
        ax.errorbar(
            # side by side, so that bars do not hide each other
            [place[point] + 0.06 * (number - 2) for point in rows["point"]], estimate,
            yerr=[estimate - low, high - estimate], label=stage_label(stage), capsize=3,
            color=COLOURS[number % 6], marker=MARKERS[number % 6], markersize=6,
        )  # fmt: skip
    for baseline, dash in (("unigram", "--"), ("uniform", ":")):
        value = _baseline(result, baseline, columns[0])
        ax.axhline(value, color=NEUTRAL, linestyle=dash, linewidth=1.5)
        ax.annotate(_NAMES[baseline], (1, value), (-2, 3), xycoords=("axes fraction", "data"),
                    textcoords="offset points", ha="right", fontsize=11, color=NEUTRAL)  # fmt: skip
    labels = [point_label(point) for point in place]
    ax.set_xticks(range(len(place)), labels, rotation=20, ha="right", rotation_mode="anchor")
    ax.grid(visible=False, axis="x")


_NAMES = {"unigram": "token frequencies alone", "uniform": "all tokens alike"}


def _baseline(result: Result, name: str, column: str) -> float:
    table = result.tables["lens_baselines"].set_index("baseline")
    return float(table.loc[name, column])


def chain_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every point of a stage without a stream."""
    return 9.5, 1.5 + 0.36 * len(chains(result.tables["lens_corpus"]))


def chain_losses(result: Result, ax: Axes) -> Axes:
    """The loss at every point of the stages without a stream, one line a point.

    Args:
        result: The logit lens, with its tables `lens_corpus` and `lens_baselines`.
        ax: Where to draw.

    Returns:
        The same axis. A filled point is the stage's own prediction, an open one descriptive.
    """
    table = chains(result.tables["lens_corpus"])
    for y, row in enumerate(table.itertuples()):
        ax.errorbar(
            [row.loss_nats], [y], xerr=[[row.loss_nats - row.low], [row.high - row.loss_nats]],
            fmt="o", color=OURS, markersize=7, capsize=4,
            markerfacecolor="white" if row.descriptive else OURS,
        )  # fmt: skip
    for baseline, dash in (("unigram", "--"), ("uniform", ":")):
        value = _baseline(result, baseline, "loss_nats")
        ax.axvline(value, color=NEUTRAL, linestyle=dash, linewidth=1.5)
        ax.annotate(_NAMES[baseline], (value, 1), (3, 3), xycoords=("data", "axes fraction"),
                    textcoords="offset points", fontsize=11, color=NEUTRAL,
                    ha="right" if baseline == "unigram" else "left")  # fmt: skip
    names = [f"{stage_label(row.stage)}: {point_label(row.point)}" for row in table.itertuples()]
    ax.set_yticks(range(len(table)), names)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("loss (nats a token); filled: the stage's own prediction")
    return ax
