"""The words of the article's table: the share its expert got there, and gets here."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND, legend_above
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result

STYLES = ((OURS, "o"), (SECOND, "s"), (NEUTRAL, "^"))


def shown(result: Result) -> pd.DataFrame:
    """The words the article printed, and those it gives to expert 0."""
    words = result.tables["article_words"]
    return words[words["article_printed"].notna() | (words["article_expert"] == 0)]


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every word."""
    return 9.0, 1.7 + 0.34 * shown(result)["word"].nunique()


def article_words(result: Result, ax: Axes) -> Axes:
    """One line a word: the article's share and that of each of our runs.

    Args:
        result: With its table `article_words`.
        ax: Where to draw.

    Returns:
        The same axis; a stage has one colour and shape, a run one mark.
    """
    words = shown(result)
    order = words.drop_duplicates("word").sort_values(
        ["article_expert", "article_share"], ascending=False
    )
    height = {word: row for row, word in enumerate(order["word"])}
    for (colour, marker), stage in zip(STYLES, words["stage"].unique()):
        mine = words[(words["stage"] == stage) & words["share"].notna()]
        ax.plot(mine["share"], mine["word"].map(height), marker, color=colour, markersize=6,
                alpha=0.8, label=stage_label(stage))  # fmt: skip
    ax.plot(order["article_share"], order["word"].map(height), "D", color=ARTICLE, markersize=8,
            label="article")  # fmt: skip
    ax.axvline(0.8, color=NEUTRAL, linestyle="--", linewidth=1.3)
    ax.set_yticks(list(height.values()), [
        f"{label(row.word)}  (expert {row.article_expert})" for row in order.itertuples()
    ])  # fmt: skip
    ax.set_ylim(len(height) - 0.4, -0.6)
    ax.set_xlim(-0.03, 1.03)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("share of the word's decisions to the article's expert, both layers")
    legend_above(ax, "article")
    return ax
