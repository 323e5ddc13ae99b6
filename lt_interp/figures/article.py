"""Figures of the page on the article: what each part buys, and who uses the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label, step_name
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND, legend_above
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result
from lt_interp.methods.significance import FDR

MINUS = "\N{MINUS SIGN}"
CLIP_NATS = 0.5  # where the colours end: the fresh start is far beyond every other step
DARK = 0.6  # share of the clip from which numbers are written in white


def gains_size(result: Result, by: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches: a column for every class, a line for every pair of stages."""
    gains = _of(result, by)
    columns, lines = gains["class"].nunique(), gains["stage"].nunique()
    return 5.2 + 1.02 * columns, 2.6 + 0.46 * lines


def gains_heatmap(result: Result, ax: Axes, *, by: Sequence[str]) -> Axes:
    """Differences of the loss, a stage against the one it grew from, class by class.

    Args:
        result: The article's, with its table `class_gains`.
        ax: Where to draw.
        by: Which groupings of tokens, in the order of the columns.

    Returns:
        The same axis. Blue is better. A number is bold where the difference is significant after
        correction for all comparisons, and in brackets where it is not.
    """
    gains = _of(result, by)
    stages, classes = list(gains["stage"].unique()), list(gains["class"].unique())
    values = _matrix(gains, "difference_nats", stages, classes)
    image = ax.pcolormesh(
        values, cmap="RdBu_r", vmin=-CLIP_NATS, vmax=CLIP_NATS, edgecolors="white", linewidth=1
    )
    ax.invert_yaxis()
    _write(ax, values, _matrix(gains, "q", stages, classes))
    previous = gains.drop_duplicates("stage").set_index("stage")["previous"]
    names = [f"{stage_label(stage)}, after {_short(previous[stage])}" for stage in stages]
    ax.set_yticks(np.arange(len(stages)) + 0.5, names)
    middle = np.arange(len(classes)) + 0.5
    shown = [label(name) for name in classes]
    ax.set_xticks(middle, shown, rotation=35, ha="left", rotation_mode="anchor")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, extend="both", pad=0.01, shrink=0.8)
    bar.set_label("difference of the loss in nats (below zero: better)", labelpad=14)
    return ax


def _short(stage: str) -> str:
    """A stage by its number, or by its name where two have one number."""
    return step_name(stage) if stage.startswith("03b") else stage.split("_")[0]


def _of(result: Result, by: Sequence[str]) -> pd.DataFrame:
    gains = result.tables["class_gains"]
    gains = gains[gains["by"].isin(by)]
    place = {name: number for number, name in enumerate(by)}
    return gains.sort_values("by", key=lambda names: names.map(place), kind="stable")


def _matrix(
    gains: pd.DataFrame, column: str, stages: list[str], classes: list[str]
) -> Float[np.ndarray, "stage class"]:
    """A cell a pair and class, nan where nothing was measured; lines in the ladder's order."""
    stages.sort(key=list(gains["stage"]).index)
    table = gains.pivot(index="stage", columns="class", values=column)
    return table.reindex(index=stages, columns=classes).to_numpy(float)


def _write(
    ax: Axes, values: Float[np.ndarray, "stage class"], q: Float[np.ndarray, "stage class"]
) -> None:
    """The difference in every cell."""
    for (line, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        certain = q[line, column] < FDR
        text = f"{abs(value):.2f}"
        text = text if float(text) == 0 else (MINUS if value < 0 else "+") + text
        colour = "white" if abs(value) > DARK * CLIP_NATS else "black"
        ax.text(
            column + 0.5, line + 0.5, text if certain else f"({text})", ha="center", va="center",
            fontsize=12, fontweight="bold" if certain else "normal",
            color=colour,
        )  # fmt: skip


def response_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every stage."""
    return 9.0, 1.4 + 0.42 * len(result.tables["response"])


def prompt_response(result: Result, ax: Axes) -> Axes:
    """What the true prompt is worth further on, one line a stage.

    Args:
        result: The article's, with its table `response`.
        ax: Where to draw.

    Returns:
        The same axis, with bars from `low` to `high`; a point is filled where its interval lies
        above zero.
    """
    table = result.tables["response"]
    ax.axvline(0, color=NEUTRAL, linewidth=1.5)
    for line, row in enumerate(table.to_dict("records")):
        value, low, high = row["benefit_nats"], row["low"], row["high"]
        ax.errorbar(
            [value], [line], xerr=[[value - low], [high - value]], fmt="o", color=OURS,
            markersize=7, capsize=4, markerfacecolor=OURS if low > 0 else "white",
        )  # fmt: skip
    ax.set_yticks(range(len(table)), [stage_label(stage) for stage in table["stage"]])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("gain from the story's own prompt, in nats a token")
    return ax


def experts_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every word."""
    return 9.0, 1.9 + 0.36 * result.tables["experts"]["word"].nunique()


def expert_words(result: Result, ax: Axes) -> Axes:
    """The article's words: its share for expert 1 beside ours, one line a word.

    Args:
        result: The article's, with its table `experts`.
        ax: Where to draw.

    Returns:
        The same axis: the article's figure as a diamond, ours with intervals, and the expert's
        share of all decisions as an upright line.
    """
    table = result.tables["experts"]
    words = list(table["word"].unique())
    height = {word: line for line, word in enumerate(words)}
    printed = table.drop_duplicates("word")
    ax.plot(
        printed["article_share"].to_numpy(float), range(len(words)), "D", color=ARTICLE,
        markersize=8, label="the article's",
    )  # fmt: skip
    colours = dict(zip(table["stage"].unique(), (OURS, SECOND)))
    for place, (stage, rows) in enumerate(table.dropna(subset=["share"]).groupby("stage")):
        lines = [height[word] + 0.16 * (2 * place - 1) for word in rows["word"]]
        share = rows["share"].to_numpy(float)
        ends = [share - rows["low"].to_numpy(float), rows["high"].to_numpy(float) - share]
        ax.errorbar(
            share, lines, xerr=np.maximum(ends, 0), fmt="os"[place], color=colours[stage],
            markersize=6, capsize=3, label=f"ours, {stage_label(str(stage))}",
        )  # fmt: skip
        ax.axvline(rows["load"].iloc[0], color=colours[stage], linewidth=1.5, linestyle=":")
    ax.set_yticks(range(len(words)), [label(word) for word in words])
    ax.set_ylim(len(words) - 0.4, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("share of the word's decisions to the expert (dotted: of all decisions)")
    legend_above(ax, "the article's")
    return ax
