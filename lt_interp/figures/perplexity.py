"""The ladder's perplexities, ours with their intervals beside the article's."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import main_runs, other_runs, perplexity_text, stage_label
from lt_interp.figures.save import ARTICLE, OURS, legend_above, plain_log_axis
from lt_interp.methods.result import Result

LAST_TOKEN = "last token"  # how `article_scored_on` begins where only that token was scored


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every stage."""
    return 9.0, 1.9 + 0.42 * len(main_runs(result.tables["ladder"]))


def perplexity_chart(result: Result, ax: Axes) -> Axes:
    """One line a stage, top to bottom as the ladder grows; perplexity on a logarithmic axis.

    Args:
        result: The evolution, with its table `ladder`.
        ax: Where to draw.

    Returns:
        The same axis. Lines are labelled: ours with bars from `perplexity_low` to
        `perplexity_high`, further seeds, ours on the last token, and the article's.
    """
    ladder = main_runs(result.tables["ladder"])
    height = {stage: row for row, stage in enumerate(ladder["stage"])}
    _ours(ax, ladder, height)
    _points(ax, other_runs(result.tables["ladder"]), height, "perplexity", "ours, other seeds")
    _points(ax, _last_token_rows(ladder), height, "perplexity_last_token", "ours, last token only")
    _article(ax, ladder, height)
    ax.set_yticks(list(height.values()), [stage_label(stage) for stage in height])
    ax.set_ylim(len(height) - 0.4, -0.6)  # the first stage on top
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.06)
    plain_log_axis(ax, "x")
    ax.set_xlabel("perplexity (lower is better)")
    legend_above(ax, "ours")
    return ax


def _ours(ax: Axes, ladder: pd.DataFrame, height: dict[str, int]) -> None:
    """Our perplexities with their intervals, the number written above each."""
    x = ladder["perplexity"].to_numpy(float)
    below = x - ladder["perplexity_low"].to_numpy(float)
    above = ladder["perplexity_high"].to_numpy(float) - x
    rows = [height[stage] for stage in ladder["stage"]]
    ax.errorbar(
        x, rows, xerr=[below, above], fmt="o", color=OURS, markersize=7, capsize=4, label="ours"
    )
    for value, row in zip(x, rows):
        ax.annotate(
            perplexity_text(value), (value, row), (0, 7), textcoords="offset points", ha="center",
            fontsize=11, color=OURS,
        )  # fmt: skip


def _last_token_rows(ladder: pd.DataFrame) -> pd.DataFrame:
    """The stages that the article scored on the last token of each row alone."""
    return ladder[ladder["article_scored_on"].astype("string").str.startswith(LAST_TOKEN, na=False)]


def _points(ax: Axes, table: pd.DataFrame, height: dict[str, int], column: str, label: str) -> None:
    """Small points of a second kind; nothing, and no line in the legend, without rows."""
    table = table.dropna(subset=[column])
    if len(table):
        marker = "s" if column == "perplexity_last_token" else "o"
        rows = [height[stage] for stage in table["stage"]]
        ax.plot(
            table[column].to_numpy(float), rows, marker, color=OURS, markersize=6,
            markerfacecolor="white", label=label,
        )  # fmt: skip


def _article(ax: Axes, ladder: pd.DataFrame, height: dict[str, int]) -> None:
    """The article's perplexities, where it has the stage."""
    known = ladder.dropna(subset=["article_perplexity"])
    if len(known):
        rows = [height[stage] for stage in known["stage"]]
        ax.plot(
            known["article_perplexity"].to_numpy(float), rows, "D", color=ARTICLE, markersize=7,
            markerfacecolor="none", markeredgewidth=2, label="the article",
        )  # fmt: skip
