"""Every common token of a layer: how often it occurs, and how much of it its expert gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lt_interp.figures.labels import main_runs
from lt_interp.figures.moe_routing import run_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, legend_below, plain_log_axis
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import POOLED

COLOURS = (OURS, ARTICLE, NEUTRAL)
MARKERS = ("o", "s", "^")
NAMED = 7  # tokens with their text


def panels(result: Result) -> tuple[int, int]:
    """Rows and columns: the first run of every stage, its layers."""
    tokens = _shown(result)
    return tokens["checkpoint"].nunique(), tokens["layer"].nunique()


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = panels(result)
    return 6.2 * columns, 4.3 * rows + 0.6


def token_shares(result: Result, axes: np.ndarray) -> np.ndarray:
    """One panel a stage and layer.

    Args:
        result: With its table `tokens`.
        axes: As many as `panels` says.

    Returns:
        The same axes: one mark a token, filled where its share differs from the load with false
        discoveries held to 5%; colour and shape say to which expert most of it goes.
    """
    tokens = _shown(result)
    for row, checkpoint in zip(axes, tokens["checkpoint"].unique()):
        mine = tokens[tokens["checkpoint"] == checkpoint]
        for ax, layer in zip(row, tokens["layer"].unique()):
            _panel(ax, mine[mine["layer"] == layer])
            first = mine.iloc[0]
            ax.set_title(f"{run_label(first['stage'], first['train_seed'])}, layer {layer}")
        row[0].set_ylabel("share to its expert")
    for ax in axes[-1]:
        ax.set_xlabel("decisions about the token")
    legend_below(axes[0, 0], 2)
    return axes


def _shown(result: Result) -> pd.DataFrame:
    """The layers of each stage's first run."""
    tokens = result.tables["tokens"]
    first = main_runs(tokens)["checkpoint"]
    return tokens[tokens["checkpoint"].isin(first) & (tokens["layer"] != POOLED)]


def _panel(ax: Axes, tokens: pd.DataFrame) -> None:
    for expert in sorted(set(tokens["expert"]) | {0, 1}):
        colour, marker = COLOURS[expert % 3], MARKERS[expert % 3]
        for found in (True, False):
            some = tokens[(tokens["expert"] == expert) & (tokens["discovery"] == found)]
            ax.plot(
                some["n_decisions"], some["share"], marker, color=colour, markersize=5,
                markerfacecolor=colour if found else "none", alpha=0.75, linestyle="none",
                label=f"expert {expert}" + ("" if found else ", not told from the load"),
            )  # fmt: skip
    ax.axhline(0.8, color=NEUTRAL, linestyle="--", linewidth=1.3)
    ax.set_ylim(0.47, 1.06)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for row in _named(tokens):
        ax.annotate(label(row.token), (row.n_decisions, row.share), (0, 7),
                    textcoords="offset points", ha="center", fontsize=11)  # fmt: skip
    if len(tokens):
        plain_log_axis(ax, "x")


def _named(tokens: pd.DataFrame) -> list[Any]:
    """The most frequent tokens whose texts do not stand on each other."""
    named: list[Any] = []
    for row in tokens.sort_values("n_decisions", ascending=False).itertuples():
        clear = all(
            other.n_decisions > 1.25 * row.n_decisions or abs(other.share - row.share) > 0.04
            for other in named
        )
        if clear and len(named) < NAMED:
            named.append(row)
    return named
