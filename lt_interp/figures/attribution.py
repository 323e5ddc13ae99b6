"""Direct logit attribution: which part adds how much to the true next token's logit."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.logit_lens import token_label
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result

COLOURS = "RdBu_r"
STRONG = 0.6  # of the scale's end; beyond it letters are white
_NAMES = {
    "embed": "token",
    "pos_embed": "position",
    "ln_final.b": "norm bias",
    "b_U": "output bias",
}


def component_label(component: str) -> str:
    """A part as readers meet it: `"FFN 1"` for `"1_mlp_out"`; a head stays `"L1H0"`."""
    layer = re.fullmatch(r"(\d+)_mlp_out", component)
    return f"FFN {layer[1]}" if layer else _NAMES.get(component, label(component))


def component_order(table: pd.DataFrame) -> list[str]:
    """The parts of all stages, in the order of the deepest and widest of them."""
    lengths = table.groupby("stage", sort=False)["component"].nunique()
    names = list(table[table["stage"] == lengths.idxmax()]["component"].unique())
    return names + [name for name in table["component"].unique() if name not in names]


def attribution_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: two panels, a line for every stage."""
    table = result.tables["attribution"]
    return 3.2 + 0.95 * table["component"].nunique(), 2.4 + 0.9 * table["stage"].nunique()


def attribution_by_part(result: Result, axes: np.ndarray) -> np.ndarray:
    """Two panels: shares of the true next token's logit, and of other tokens' logits.

    Args:
        result: The logit lens, with its table `attribution`.
        axes: Two rows of one axis.

    Returns:
        The same axes. A number is a mean over tokens in logits, above the mean of the vocabulary.
    """
    table = result.tables["attribution"]
    order = component_order(table)
    columns = ("contribution_logits", "shuffled_contribution_logits")
    end = float(table[list(columns)].abs().to_numpy(float).max())
    titles = ("the true next token", "the same tokens, dealt out at random")
    for ax, column, title in zip(axes[:, 0], columns, titles, strict=True):
        grid = table.pivot(index="stage", columns="component", values=column)
        grid = grid.loc[table["stage"].unique(), order]
        _grid(ax, grid.to_numpy(float), end)
        ax.set_yticks(np.arange(len(grid)) + 0.5, [stage_label(stage) for stage in grid.index])
        ax.set_xticks(np.arange(len(order)) + 0.5, [component_label(name) for name in order])
        ax.set_title(title, fontsize=13)
    return axes


def prompt_attribution_size(result: Result, *, stage: str, prompt: str) -> tuple[float, float]:
    """Width and height in inches: a line for every part."""
    table = _of_prompt(result, stage, prompt)
    return 2.8 + 0.82 * table["position"].nunique(), 2.2 + 0.4 * table["component"].nunique()


def prompt_attribution(result: Result, ax: Axes, *, stage: str, prompt: str) -> Axes:
    """Shares of the next token's logit on one prompt, a row a part, a column a token.

    Args:
        result: The logit lens, with its table `attribution_prompts`.
        ax: Where to draw.
        stage: Of which stage.
        prompt: Which prompt.

    Returns:
        The same axis, the tokens that come next as its labels.
    """
    table = _of_prompt(result, stage, prompt)
    grid = table.pivot(index="component", columns="position", values="contribution_logits")
    grid = grid.loc[table["component"].unique()]
    _grid(ax, grid.to_numpy(float), float(grid.abs().to_numpy(float).max()), digits=1)
    ax.set_yticks(np.arange(len(grid)) + 0.5, [component_label(name) for name in grid.index])
    first = table.drop_duplicates("position")
    ax.set_xticks(first["position"] + 0.5, [token_label(token) for token in first["next_token"]],
                  rotation=30, ha="right", rotation_mode="anchor")  # fmt: skip
    ax.set_xlabel("the token that comes next")
    return ax


def _of_prompt(result: Result, stage: str, prompt: str) -> pd.DataFrame:
    table = result.tables["attribution_prompts"]
    return table[(table["stage"] == stage) & (table["prompt"] == prompt)]


def _grid(ax: Axes, values: np.ndarray, end: float, *, digits: int = 2) -> None:
    """Numbers on colours that are white at zero; a part that is absent stays empty."""
    end = end or 1.0
    # Cells as shapes: viewers blur the few pixels of an image.
    ax.pcolormesh(np.ma.masked_invalid(values), cmap=COLOURS, vmin=-end, vmax=end)
    ax.invert_yaxis()
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.{digits}f}".replace("-", "−" if round(value, digits) else "")
            colour = "white" if abs(value) > STRONG * end else "black"
            ax.text(
                x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=12, color=colour,
                in_layout=False,
            )  # fmt: skip
    ax.grid(visible=False)
