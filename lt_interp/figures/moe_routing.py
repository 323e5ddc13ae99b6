"""How much a token's id tells of its expert, beside random routers and embeddings alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND, legend_below
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import (
    OVER_SHARE,
    POOLED,
    RANDOM,
    TOKEN_SHARE,
    UNTRAINED,
    WITHOUT_CONTEXT,
)


def run_label(stage: str, seed: Any) -> str:
    """A run of a stage, such as `"10 + MoE, seed 1"`; the stage alone where no seed is known."""
    return stage_label(stage) if pd.isna(seed) else f"{stage_label(stage)}, seed {int(seed)}"


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every layer of every run."""
    return 13.0, 2.2 + 0.4 * len(_lines(result))


def specialisation(result: Result, axes: np.ndarray) -> np.ndarray:
    """Two panels, a line for every layer of every run.

    Args:
        result: With its table `nulls`.
        axes: One row of two.

    Returns:
        The same axes: left the share of the expert's entropy that the token's id tells, right the
        share of decisions made by tokens that exceed 80%.
    """
    titles = ("what the token's id tells\nof its expert",
              "decisions by tokens that go\nover 80% to one expert")  # fmt: skip
    for ax, statistic, title in zip(axes[0], (TOKEN_SHARE, OVER_SHARE), titles):
        _panel(ax, result, statistic)
        ax.set_title(title)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[0, 0].set_xlabel("share of the expert's entropy")
    axes[0, 1].set_xlabel("share of all decisions")
    axes[0, 1].set_yticklabels([])
    legend_below(axes[0, 0], 2)
    return axes


def _lines(result: Result) -> list[tuple[str, str]]:
    """Checkpoint and layer of every line, from top to bottom."""
    nulls = result.tables["nulls"]
    apart = nulls[nulls["layer"] != POOLED]
    return list(dict.fromkeys(zip(apart["checkpoint"], apart["layer"])))


def _panel(ax: Axes, result: Result, statistic: str) -> None:
    nulls = result.tables["nulls"]
    lines = _lines(result)
    found = nulls[nulls["statistic"] == statistic].set_index(["checkpoint", "layer", "null"])
    y = np.arange(len(lines))
    for null, shift, colour, label in (
        (RANDOM, -0.13, NEUTRAL, "{} random routers: mean and middle 95%"),
        (UNTRAINED, 0.17, SECOND, "{} on the untrained stage"),
    ):
        some = found.loc[[(*line, null) for line in lines]]
        draws = int(some["n_draws"].iloc[0])
        ax.hlines(y + shift, some["null_low"], some["null_high"], color=colour, linewidth=5,
                  alpha=0.55, label=label.format(draws))  # fmt: skip
        ax.plot(some["null_mean"], y + shift, "|", color=colour, markersize=11, markeredgewidth=2.5)
    alone = found.loc[[(*line, WITHOUT_CONTEXT) for line in lines]]
    ax.plot(alone["null_mean"], y, "D", color=ARTICLE, markersize=7, markerfacecolor="white",
            markeredgewidth=2, label="its own router on embeddings alone")  # fmt: skip
    ax.plot(alone["value"], y, "o", color=OURS, markersize=9, label="its own router")
    names = result.tables["nulls"].drop_duplicates("checkpoint").set_index("checkpoint")
    ax.set_yticks(y, [
        f"{run_label(names.loc[name, 'stage'], names.loc[name, 'train_seed'])}, layer {layer}"
        for name, layer in lines
    ])  # fmt: skip
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.set_xlim(-0.03, 1.03)
    ax.grid(visible=False, axis="y")
