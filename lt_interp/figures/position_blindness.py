"""How far the order of a sentence's words moves each stage's logits."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, legend_above
from lt_interp.methods.result import Result

SMALLEST = 1e-6  # the axis is linear from here to zero, so that an exact zero can be shown


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every stage."""
    return 9.0, 1.9 + 0.42 * result.tables["differences"]["stage"].nunique()


def logit_differences(result: Result, ax: Axes, *, variant: str) -> Axes:
    """The largest difference of a logit between the two sentences, one line a stage.

    Args:
        result: The position blindness, with its table `differences`.
        ax: Where to draw.
        variant: Which form of the pair.

    Returns:
        The same axis: trained and untrained stages as points, a tick at the bound of what rounding
        can do to the trained stage, and a grey bar for unrelated contexts on the trained stage
        (5th to 95th percentile).
    """
    table = result.tables["differences"]
    table = table[table["variant"] == variant]
    stages = list(table["stage"].unique())
    height = {stage: row for row, stage in enumerate(stages)}
    trained, untrained = (table[table["weights"] == kind] for kind in ("trained", "untrained"))
    ax.set_xscale("symlog", linthresh=SMALLEST, linscale=0.6)
    _unrelated(ax, trained, height)
    _points(ax, trained, height, column="bound", style={
        "marker": "|", "color": NEUTRAL, "markersize": 16, "markeredgewidth": 2,
        "label": "rounding bound",
    })  # fmt: skip
    _points(ax, untrained, height, column="max_abs_logit_difference", style={
        "marker": "D", "color": ARTICLE, "markersize": 7, "markerfacecolor": "none",
        "markeredgewidth": 2, "label": "untrained",
    })  # fmt: skip
    _points(ax, trained, height, column="max_abs_logit_difference", style={
        "marker": "o", "color": OURS, "markersize": 7, "label": "trained",
    })  # fmt: skip
    return _finish(ax, stages)


def _unrelated(ax: Axes, trained: pd.DataFrame, height: dict[str, int]) -> None:
    """What the same measure says of contexts that have nothing to do with each other."""
    ax.hlines(
        [height[stage] for stage in trained["stage"]],
        trained["reference_low"].to_numpy(float),
        trained["reference_high"].to_numpy(float),
        color="#C9CED3", linewidth=9, label="unrelated contexts",
    )  # fmt: skip


def _points(
    ax: Axes, table: pd.DataFrame, height: dict[str, int], *, column: str, style: dict
) -> None:
    rows = [height[stage] for stage in table["stage"]]
    ax.plot(table[column].to_numpy(float), rows, linestyle="none", **style)


def _finish(ax: Axes, stages: list[str]) -> Axes:
    """Names on the left, the first stage on top, powers of ten along the axis."""
    ticks = [0.0, 1e-6, 1e-4, 1e-2, 1.0, 100.0]
    high = ax.get_xlim()[1]
    ax.set_xticks([tick for tick in ticks if tick <= max(high, 1.0)])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(left=-SMALLEST / 2)
    ax.set_yticks(range(len(stages)), [stage_label(stage) for stage in stages])
    ax.set_ylim(len(stages) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("largest difference of a logit (logarithmic above 0.000001)")
    legend_above(ax, "trained")
    return ax
