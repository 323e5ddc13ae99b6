"""How much a token looks at itself as its row grows longer: the article's diagonal, measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, legend_below
from lt_interp.methods.result import Result

SIZE = (11.0, 5.0)
PANELS = (1, 2)
STAGES = {"04_attention": ("o", ARTICLE), "05_attn_position": ("s", OURS)}
TITLES = {"current": "on the token itself", "same_token": "on it or an earlier copy of it"}


def stages_drawn(result: Result) -> list[str]:
    """Those of the two stages the article compares that were measured."""
    measured = set(result.tables["by_position"]["stage"])
    return [stage for stage in STAGES if stage in measured]


def self_by_position(result: Result, axes: np.ndarray) -> np.ndarray:
    """Mean weight by the query's place in its row, with 95% intervals, beside the uniform pattern.

    Args:
        result: The attention, with its table `by_position`.
        axes: Two panels: the token itself, and every key with the same token.

    Returns:
        The same axes.
    """
    table = result.tables["by_position"]
    for ax, (score, title) in zip(np.ravel(axes), TITLES.items()):
        for stage in stages_drawn(result):
            chosen = table[(table["stage"] == stage) & (table["score"] == score)]
            _line(ax, chosen, stage)
        uniform = table[table["score"] == score].groupby("first_query")["uniform"].mean()
        ax.plot(uniform.index, uniform, "--", color=NEUTRAL, label="uniform")
        first, last = _bins(table)
        ax.set_xscale("log", base=2)
        ax.set_xticks(first, [_label(a, b) for a, b in zip(first, last)], rotation=40, ha="right")
        ax.minorticks_off()
        ax.set_ylim(0, 1.03)
        ax.set_title(title)
        ax.set_xlabel("tokens before it in the row")
    np.ravel(axes)[0].set_ylabel("mean share of attention")
    legend_below(np.ravel(axes)[0], 3)
    return axes


def _line(ax: Axes, chosen: pd.DataFrame, stage: str) -> None:
    """The mean over a stage's heads (the two stages have one each)."""
    marker, colour = STAGES[stage]
    mean = chosen.groupby("first_query")[["value", "low", "high"]].mean()
    ax.plot(mean.index, mean["value"], marker=marker, color=colour, label=stage_label(stage))
    ax.fill_between(
        mean.index.to_numpy(float), mean["low"], mean["high"], color=colour, alpha=0.25, linewidth=0
    )


def _bins(table: pd.DataFrame) -> tuple[list[int], list[int]]:
    bins = table[["first_query", "last_query"]].drop_duplicates().sort_values("first_query")
    return bins["first_query"].tolist(), bins["last_query"].tolist()


def _label(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"
