"""What shuffling everything but the last token does to each stage's prediction."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND, legend_above
from lt_interp.methods.result import Result

SMALLEST = 1e-8  # the axis is linear from here to zero, where blind stages stand


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every stage."""
    return 9.5, 1.9 + 0.42 * result.tables["permutations"]["stage"].nunique()


def order_ladder(result: Result, ax: Axes) -> Axes:
    """The mean KL between the prediction after a prefix and after its tokens shuffled.

    Args:
        result: The position blindness, with its table `permutations`.
        ax: Where to draw.

    Returns:
        The same axis, one line a stage: trained and untrained stages with 95% intervals, and for
        the trained one a tick at what rounding can do and the KL to another story's prefix.
    """
    table = result.tables["permutations"]
    stages = list(table["stage"].unique())
    height = {stage: row for row, stage in enumerate(stages)}
    trained, untrained = (table[table["weights"] == kind] for kind in ("trained", "untrained"))
    ax.set_xscale("symlog", linthresh=SMALLEST, linscale=0.6)
    ax.plot(
        trained["kl_bound_nats"].to_numpy(float), [height[stage] for stage in trained["stage"]],
        linestyle="none", marker="|", color=NEUTRAL, markersize=16, markeredgewidth=2,
        label="rounding bound",
    )  # fmt: skip
    _bars(ax, trained.dropna(subset=["reference_kl_nats"]), height, "reference", -0.22, {
        "fmt": "s", "color": SECOND, "markersize": 6, "markerfacecolor": "white",
        "markeredgewidth": 2, "label": "another story",
    })  # fmt: skip
    _bars(ax, untrained, height, "kl", 0.0, {
        "fmt": "D", "color": ARTICLE, "markersize": 7, "markerfacecolor": "none",
        "markeredgewidth": 2, "label": "shuffled, untrained",
    })  # fmt: skip
    _bars(ax, trained, height, "kl", 0.0, {
        "fmt": "o", "color": OURS, "markersize": 7, "label": "shuffled, trained",
    })  # fmt: skip
    return _finish(ax, stages)


def _bars(
    ax: Axes, table: pd.DataFrame, height: dict[str, int], name: str, lift: float, style: dict
) -> None:
    """Points with their intervals; an interval that is open is left out."""
    if table.empty:
        return
    x = table[f"{name}_nats" if name == "kl" else f"{name}_kl_nats"].to_numpy(float)
    low, high = (table[f"{name}_{end}"].fillna(pd.Series(x, table.index)).to_numpy(float)
                 for end in ("low", "high"))  # fmt: skip
    rows = [height[stage] + lift for stage in table["stage"]]
    ax.errorbar(x, rows, xerr=[(x - low).clip(0), (high - x).clip(0)], capsize=4, **style)


def _finish(ax: Axes, stages: list[str]) -> Axes:
    """Names on the left, the first stage on top, powers of ten along the axis."""
    ticks = [0.0, 1e-6, 1e-4, 1e-2, 1.0]
    ax.set_xticks(ticks)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(-SMALLEST / 2, max(ax.get_xlim()[1], 3.0))
    ax.set_yticks(range(len(stages)), [stage_label(stage) for stage in stages])
    ax.set_ylim(len(stages) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("KL in nats (logarithmic above 0.00000001)")
    legend_above(ax, "shuffled, trained")
    return ax
