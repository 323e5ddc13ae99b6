"""Heatmaps of the attention of every head of a stage on one prompt."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Polygon

from lt_interp.figures.labels import stage_label
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result

CMAP = "viridis"
MASKED = "#E6E6E6"
CELL = 0.42  # inches
MOST_CELLS = 20  # of full width; the cells of a longer prompt are smaller
NUMBERS_UP_TO = 12  # tokens: cells of a longer prompt are too small for a number
LEAST_NUMBER = 0.05
PIXELS = 256  # of the longer side, about


def cells_of(result: Result, stage: str, prompt: str) -> pd.DataFrame:
    """The rows of `patterns` of one stage and prompt."""
    patterns = result.tables["patterns"]
    return patterns[(patterns["stage"] == stage) & (patterns["prompt"] == prompt)]


def panels(result: Result, stage: str, prompt: str) -> tuple[int, int]:
    """Rows and columns of panels: layers and heads."""
    cells = cells_of(result, stage, prompt)
    return int(cells["layer"].max()) + 1, int(cells["head"].max()) + 1


def size(result: Result, stage: str, prompt: str) -> tuple[float, float]:
    """Width and height in inches."""
    n_layers, n_heads = panels(result, stage, prompt)
    side = _side(int(cells_of(result, stage, prompt)["query"].max()) + 1)
    return 1.6 + n_heads * (side + 1.5), 0.9 + n_layers * (side + 1.6)


def _side(n_tokens: int) -> float:
    """Width and height of a panel in inches."""
    return CELL * min(max(n_tokens, 6), MOST_CELLS)


def prompt_heatmaps(
    result: Result, axes: Axes | np.ndarray, *, stage: str, prompt: str
) -> Axes | np.ndarray:
    """One panel a layer and head: a row is what one token reads, from 0 to 1.

    What comes after a token is hatched, because the causal mask shuts it off: that is another thing
    than a weight of zero.

    Args:
        result: The attention, with its table `patterns`.
        axes: Where to draw: one axis, or layers by heads.
        stage: Which stage.
        prompt: Which prompt.

    Returns:
        The same axes.
    """
    cells = cells_of(result, stage, prompt)
    grid = np.atleast_2d(np.asarray(axes, dtype=object))
    image = None
    for (layer, head), ax in np.ndenumerate(grid):
        one = cells[(cells["layer"] == layer) & (cells["head"] == head)]
        image = _heatmap(ax, one)
        where = f" L{layer} H{head}" if grid.size > 1 else ""
        ax.set_title(stage_label(stage) + where, fontsize=13)
    bar = grid[0, 0].figure.colorbar(image, ax=grid.ravel().tolist(), shrink=0.8, pad=0.02)
    bar.set_label("share of the row's attention")
    bar.outline.set_visible(False)
    return axes


def _heatmap(ax: Axes, cells: pd.DataFrame) -> AxesImage:
    weights = cells.pivot(index="query", columns="key", values="weight").to_numpy(float)
    n = len(weights)
    image = coloured_cells(ax, weights)
    _mask(ax, n)
    if n <= NUMBERS_UP_TO:
        _numbers(ax, weights)
    tokens = cells[cells["query"] == cells["key"]].sort_values("key")["key_token"]
    labels = [label(token) for token in tokens]
    fits = min(13.0, 0.85 * 72 * _side(n) / n)  # points: one label below the other
    ax.set_xticks(range(n), labels, rotation=90, fontsize=fits)
    ax.set_yticks(range(n), labels, fontsize=fits)
    ax.set_xlabel("is read")
    ax.set_ylabel("reads")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return image


def coloured_cells(ax: Axes, weights: Float[np.ndarray, "row column"]) -> AxesImage:
    """Cells in colours from 0 to 1, the first row on top; nothing where a weight is missing.

    A cell is a square of many pixels: viewers blur the pixels of a picture that they enlarge.
    """
    n_rows, n_columns = weights.shape
    pixels = max(PIXELS // max(n_rows, n_columns), 4)
    return ax.imshow(
        np.ma.masked_invalid(weights.repeat(pixels, axis=0).repeat(pixels, axis=1)),
        extent=(-0.5, n_columns - 0.5, n_rows - 0.5, -0.5),
        cmap=CMAP, vmin=0, vmax=1, interpolation="none",
    )  # fmt: skip


def _mask(ax: Axes, n: int) -> None:
    """Hatch the cells after the diagonal, as one staircase."""
    stairs = [(-0.5, -0.5)]
    for row in range(n):
        stairs += [(row + 0.5, row - 0.5), (row + 0.5, row + 0.5)]
    stairs += [(n - 0.5, -0.5)]
    ax.add_patch(
        Polygon(
            stairs[1:], closed=True, facecolor=MASKED, edgecolor="#BBBBBB", hatch="//",
            linewidth=0, label="causal mask",
        )
    )  # fmt: skip


def _numbers(ax: Axes, weights: Float[np.ndarray, "query key"]) -> None:
    """The weights that are not close to zero, in two digits."""
    for (query, key), weight in np.ndenumerate(weights):
        if weight >= LEAST_NUMBER:
            ax.text(
                key, query, share(weight), ha="center", va="center", fontsize=10,
                color=text_colour(weight), in_layout=False,
            )  # fmt: skip


def share(weight: float) -> str:
    """A share of 1 in two decimals without the leading zero: `".62"`, `"1.0"`."""
    text = f"{weight:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


def text_colour(weight: float) -> str:
    """What can be read on the colour of a weight."""
    return "black" if weight > 0.6 else "white"
