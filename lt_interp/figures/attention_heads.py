"""All heads of the ladder by all their scores, in one grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from lt_interp.figures.attention import coloured_cells, share, text_colour
from lt_interp.figures.labels import stage_label
from lt_interp.methods.result import Result
from lt_interp.methods.significance import FDR

# Score and title of each column, in the order of the figure.
COLUMNS = {
    "current": "itself",
    "same_token": "same token",
    "previous": "previous",
    "first": "first of the row",
    "last_8": "last 8 tokens",
    "duplicate": "duplicate",
    "induction": "induction",
    "self_largest": "itself is largest",
    "self_over_half": "over ½ on itself",
    "entropy_nats": "entropy / maximum",
    "mean_distance_tokens": "distance, tokens",
}
UNIFORM, UNTRAINED = "uniform", "untrained, mean of heads"
NOT_DIFFERENT = "≈"


def head_names(table: pd.DataFrame) -> pd.Series:
    """What each row's head is called: its stage, and layer and head where there are several."""
    several = table.groupby("stage")[["layer", "head"]].transform("nunique").max(axis=1) > 1
    names = table["stage"].map(stage_label)
    places = " L" + table["layer"].astype(str) + " H" + table["head"].astype(str)
    return names + places.where(several, "")


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every head and two for the baselines."""
    return 11.5, 2.9 + 0.4 * (_grid(result, "value").shape[0] + 2)


def head_grid(result: Result, ax: Axes) -> Axes:
    """A line a head, a column a score, the number in each cell.

    Colours run from 0 to 1; the entropy is shown as a share of its maximum and the distance as a
    share of the uniform pattern's. A number after `≈` could not be told from the uniform pattern.

    Args:
        result: The attention, with its table `head_scores`.
        ax: Where to draw.

    Returns:
        The same axis. The last two lines are the uniform pattern and the mean of the untrained
        heads.
    """
    value, uniform = _grid(result, "value"), _grid(result, "uniform")
    untrained = _grid(result, "untrained").mean(axis=0, skipna=True)
    grid = pd.concat([value, pd.DataFrame({UNIFORM: uniform.mean(), UNTRAINED: untrained}).T])
    same = _grid(result, "q") >= FDR
    colours = grid.copy()
    for score in ("entropy_nats", "mean_distance_tokens"):
        colours[score] = grid[score] / grid.loc[UNIFORM, score]
    numbers = colours.to_numpy(float)
    coloured_cells(ax, numbers)
    ax.set_aspect("auto")
    ax.axhline(len(value) - 0.5, color="white", linewidth=5)
    _numbers(ax, grid, numbers, same)
    ax.set_xticks(range(len(COLUMNS)), COLUMNS.values(), rotation=40, ha="left")
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(grid)), grid.index)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def _grid(result: Result, column: str) -> pd.DataFrame:
    """One column of `head_scores`, a line a head and a column a score."""
    scores = result.tables["head_scores"]
    scores = scores.assign(name=head_names(scores))
    grid = scores.pivot(index="name", columns="score", values=column)
    return grid.loc[scores["name"].drop_duplicates(), list(COLUMNS)]


def _numbers(
    ax: Axes, grid: pd.DataFrame, numbers: Float[np.ndarray, "head score"], same: pd.DataFrame
) -> None:
    for (row, column), colour in np.ndenumerate(numbers):
        if np.isnan(colour):
            continue
        tokens = grid.columns[column] == "mean_distance_tokens"
        text = f"{grid.iloc[row, column]:.1f}" if tokens else share(colour)
        mark = NOT_DIFFERENT if row < len(same) and bool(same.iloc[row, column]) else ""
        ax.text(
            column, row, mark + text, ha="center", va="center", fontsize=11,
            color=text_colour(colour),
        )  # fmt: skip
