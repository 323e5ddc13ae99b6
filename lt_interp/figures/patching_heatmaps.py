"""Recoveries as heatmaps: by role of the position, by head, and token by token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.activation_patching import focus_stage, part_label, stream_stages
from lt_interp.figures.labels import stage_label
from lt_interp.figures.visible import label
from lt_interp.methods.result import Result

ROLES = ("differing", "between", "last")
HEAD_PARTS = ("z", "v", "k", "q", "pattern")
KINDS = ("names", "subject", "object", "feeling")
COLUMNS = 3  # panels side by side
LIMIT = 1.0  # of the colours, which are centred on 0

Panels = np.ndarray | Axes
"""A two-dimensional array of axes; the axis itself where there is one."""


def stage_panels(result: Result) -> tuple[int, int]:
    """Rows and columns of one panel a stage."""
    n = len(stream_stages(result))
    return -(-n // COLUMNS), min(n, COLUMNS)


def roles_size(result: Result) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = stage_panels(result)
    return max(5.5, 4.4 * columns), 4.9 * rows


def roles_heatmaps(result: Result, axes: Panels) -> Panels:
    """For every stage with a stream, the recovery of each component by role of the positions.

    Args:
        result: With its table `cells`; the direction shown is clean into corrupt.
        axes: One panel a stage, `stage_panels`.

    Returns:
        The same axes. A patch that cannot reach the prediction is left white.
    """
    table = _denoising(result)
    table = table[table["head"].isna() & (table["component"] != "embed")]
    for ax, stage in _panels(axes, stream_stages(result)):
        cells = table[table["stage"] == stage]
        names = _firing_order(cells)
        grid = _grid(cells, names, [role for role in ROLES if role in set(cells["position_role"])])
        _heatmap(ax, grid, title=stage_label(stage))
    return axes


def heads_size(result: Result) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = stage_panels(result)
    heads = _denoising(result).dropna(subset=["head"]).drop_duplicates(["stage", "layer", "head"])
    most = int(heads["stage"].value_counts().max()) if len(heads) else 1
    return max(5.5, 4.4 * columns), (1.0 + 0.6 * max(1, most)) * rows


def heads_heatmaps(result: Result, axes: Panels) -> Panels:
    """For every stage with a stream, what each head's output, values, keys, queries, pattern carry.

    Args:
        result: With its table `cells`; patched at every position, clean into corrupt.
        axes: One panel a stage, `stage_panels`.
    """
    table = _denoising(result)
    table = table[table["head"].notna() & (table["position_role"] == "all")]
    for ax, stage in _panels(axes, stream_stages(result)):
        cells = table[table["stage"] == stage]
        heads = sorted({(int(a), int(b)) for a, b in zip(cells["layer"], cells["head"])})
        grid = pd.DataFrame(np.nan, index=[f"L{a} H{b}" for a, b in heads], columns=HEAD_PARTS)
        for row in cells.itertuples():
            grid.loc[f"L{row.layer} H{row.head}", row.component] = row.recovery
        _heatmap(ax, grid, title=stage_label(stage))
    return axes


def example_templates(result: Result) -> list[str]:
    """A template of each kind for the stage in focus: the one of most positions."""
    table = _examples(result)
    kinds = result.tables["by_template"].drop_duplicates("template").set_index("template")["kind"]
    span = table.groupby("template", sort=False)["position"].nunique()
    chosen = []
    for kind in KINDS:
        of_kind = span[[kinds[name] == kind for name in span.index]]
        if len(of_kind):
            chosen.append(str(of_kind.idxmax()))
    return chosen


def _examples(result: Result) -> pd.DataFrame:
    """Single positions of the stage in focus, clean patched into corrupt."""
    table = result.tables["examples"]
    return table[(table["stage"] == focus_stage(result)) & (table["direction"] == "denoising")]


def positions_panels(result: Result) -> tuple[int, int]:
    """Rows and columns of one panel a template."""
    return len(example_templates(result)), 1


def positions_size(result: Result) -> tuple[float, float]:
    """Width and height in inches."""
    return 11.0, 4.3 * len(example_templates(result))


def positions_heatmaps(result: Result, axes: Panels) -> Panels:
    """Token by token, what each component carries on the stage in focus, for a template a kind.

    Args:
        result: With its table `examples`.
        axes: One panel a template, `positions_panels`.

    Returns:
        The same axes; a column is a token, the swapped ones with both words, from the first
        swapped one on: before it the two runs are equal.
    """
    table = _examples(result)
    for ax, template in _panels(axes, example_templates(result)):
        cells = table[table["template"] == template]
        labels = {
            int(row.position): _token(row.clean_token, row.corrupt_token)
            for row in cells.itertuples()
        }
        names = _firing_order(cells)
        grid = pd.DataFrame(np.nan, index=names, columns=sorted(labels))
        for row in cells.itertuples():
            grid.loc[part_label(row.component, row.layer, None), row.position] = row.recovery
        title = f"{label(template)} (mean of {int(cells['n_pairs'].iloc[0])} pairs)"
        _heatmap(ax, grid.rename(columns=labels), title=title)
    return axes


def _denoising(result: Result) -> pd.DataFrame:
    cells = result.tables["cells"]
    return cells[cells["direction"] == "denoising"]


def _firing_order(cells: pd.DataFrame) -> list[str]:
    """Components as the model runs through them, top to bottom."""
    order = {"resid_pre": 0, "attn_out": 1, "resid_mid": 2, "mlp_out": 3}
    known = {
        (-1 if pd.isna(layer) else int(layer), order.get(component, -1)): part_label(
            component, layer, None
        )
        for component, layer in zip(cells["component"], cells["layer"])
    }
    return [known[place] for place in sorted(known)]


def _grid(cells: pd.DataFrame, names: Sequence[str], roles: Sequence[str]) -> pd.DataFrame:
    grid = pd.DataFrame(np.nan, index=list(names), columns=list(roles))
    for row in cells.itertuples():
        grid.loc[part_label(row.component, row.layer, None), row.position_role] = row.recovery
    return grid


def _panels(axes: Panels, what: Sequence[str]) -> list[tuple[Axes, str]]:
    """Each axis with what it shows; those left over are taken away."""
    flat = list(np.ravel(np.asarray(axes, dtype=object)))
    for ax in flat[len(what) :]:
        ax.set_axis_off()
    return list(zip(flat, what))


def _heatmap(ax: Axes, grid: pd.DataFrame, *, title: str) -> None:
    """Numbers in coloured cells, red towards the clean run, blue away from it."""
    values = grid.to_numpy(float)
    # Rectangles, not an image: viewers blur a picture of few pixels.
    ax.pcolormesh(
        np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, edgecolors="white",
        linewidth=1,
    )  # fmt: skip
    ax.invert_yaxis()
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
            colour = "white" if abs(value) > 0.6 else "black"
            ax.text(
                column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=11, color=colour
            )
    ax.set_xticks(np.arange(grid.shape[1]) + 0.5, [str(name) for name in grid.columns])
    ax.set_yticks(np.arange(grid.shape[0]) + 0.5, [str(name) for name in grid.index])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title(title)


def _token(clean: str, corrupt: str) -> str:
    if clean == corrupt:
        return label(clean)
    return f"{label(clean)}\n{label(corrupt)}"
