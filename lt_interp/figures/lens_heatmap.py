"""The lens on one prompt: a grid of points by tokens, the likeliest next token in every cell."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lt_interp.figures.logit_lens import point_label, token_label
from lt_interp.figures.save import ARTICLE
from lt_interp.methods.result import Result

COLOURS = "cividis"
BRIGHT = 0.55  # from this probability on a cell is light enough for black letters
LETTERS = 8  # that fit into a cell at full size


def prompt_rows(result: Result, stage: str, prompt: str) -> pd.DataFrame:
    """The part of `lens_prompts` that one heatmap shows."""
    table = result.tables["lens_prompts"]
    return table[(table["stage"] == stage) & (table["prompt"] == prompt)]


def heatmap_size(result: Result, *, stage: str, prompt: str) -> tuple[float, float]:
    """Width and height in inches: a cell is wide enough for a word."""
    rows = prompt_rows(result, stage, prompt)
    return 3.6 + 0.82 * rows["position"].nunique(), 1.9 + 0.5 * rows["point"].nunique()


def lens_heatmap(result: Result, ax: Axes, *, stage: str, prompt: str) -> Axes:
    """Rows are points, the first at the bottom; columns are the tokens of the prompt.

    Args:
        result: The logit lens, with its table `lens_prompts`.
        ax: Where to draw.
        stage: Whose lens.
        prompt: Which prompt.

    Returns:
        The same axis. In each cell stands the likeliest next token, its colour the probability of
        it; a frame marks a cell whose token is the one that really comes next.
    """
    rows = prompt_rows(result, stage, prompt)
    grid = rows.pivot(index="order", columns="position", values="top_probability")
    # Cells as shapes: viewers blur the few pixels of an image.
    image = ax.pcolormesh(grid.to_numpy(float), cmap=COLOURS, vmin=0, vmax=1)
    for cell in rows.itertuples():
        _write(ax, cell)
    first = rows[rows["order"] == 0].sort_values("position")
    labels = [token_label(token) for token in first["token"]]
    ax.set_xticks(first["position"] + 0.5, labels, rotation=30, ha="right", rotation_mode="anchor")
    points = rows.drop_duplicates("order").sort_values("order")
    ax.set_yticks(points["order"] + 0.5, [point_label(point) for point in points["point"]])
    ax.set_xlabel("the prompt; a frame marks the token that really comes next")
    ax.grid(visible=False)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01)
    bar.set_label("probability", fontsize=11)
    return ax


def _write(ax: Axes, cell: object) -> None:
    """The token of one cell, and the frame if it is the true one."""
    text = token_label(cell.top_token)  # type: ignore[attr-defined]
    x, y = cell.position + 0.5, cell.order + 0.5  # type: ignore[attr-defined]
    colour = "white" if cell.top_probability < BRIGHT else "black"  # type: ignore[attr-defined]
    size = 12 * min(1, LETTERS / max(len(text), 1))
    ax.text(x, y, text, ha="center", va="center", color=colour, fontsize=size,
            in_layout=False)  # fmt: skip
    if cell.next_token == cell.top_token:  # type: ignore[attr-defined]
        ax.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, linewidth=2.5,
                               edgecolor=ARTICLE))  # fmt: skip
