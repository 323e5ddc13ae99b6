"""How much two swapped neighbours matter, by how far behind the last token they stand."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS
from lt_interp.methods.result import Result

COLUMNS = 3
SMALLEST = 1e-8  # the axis is linear from here to zero
TICKS = (1, 2, 4, 8, 16, 32, 64)


def seeing_stages(result: Result) -> list[str]:
    """The stages that some swap moves beyond rounding, trained or not: those worth a panel."""
    swaps = result.tables["swaps"]
    moved = swaps[swaps["max_abs_logit_difference"] > swaps["bound"]]
    return [stage for stage in swaps["stage"].unique() if stage in set(moved["stage"])]


def panels(result: Result) -> tuple[int, int]:
    """Rows and columns of panels."""
    return -(-len(seeing_stages(result)) // COLUMNS), COLUMNS


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches."""
    return 11.5, 0.6 + 2.5 * panels(result)[0]


def distance_panels(result: Result, axes: Any) -> Any:
    """A panel for every stage that sees an order.

    Args:
        result: The position blindness, with its table `swaps`.
        axes: Rows and columns of axes, as `panels` says; those that are left over are hidden.

    Returns:
        The same axes: the mean KL at each distance, trained and untrained, with 95% intervals as
        bands, and what rounding can do to the trained stage as a dotted line.
    """
    swaps = result.tables["swaps"]
    places = axes.ravel()
    for ax, stage in zip(places, seeing_stages(result)):
        here = swaps[swaps["stage"] == stage]
        _panel(ax, here)
        ax.set_title(stage_label(stage))
    _share_axes(axes, swaps, len(seeing_stages(result)))
    places[0].legend(fontsize=10, loc="upper right", borderpad=0.1, handlelength=1.4)
    return axes


def _panel(ax: Axes, swaps: pd.DataFrame) -> None:
    """Two lines with their bands, above what rounding can do."""
    for weights, color, style in (("untrained", ARTICLE, "--"), ("trained", OURS, "-")):
        one = swaps[swaps["weights"] == weights].sort_values("distance")
        if one.empty:
            continue
        x, y, low, high = (one[name].to_numpy(float) for name in ("distance", "kl_nats", "low",
                                                                  "high"))  # fmt: skip
        ax.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)
        ax.plot(x, y, style, marker="o", markersize=4, color=color, label=weights)
        if weights == "trained":
            bound = float(one["bound"].iloc[0]) ** 2 / 2
            ax.axhline(bound, color=NEUTRAL, linestyle=":", label="rounding bound")


def _share_axes(axes: Any, swaps: pd.DataFrame, n: int) -> None:
    """The same scales everywhere, named at the edges only."""
    top = max(float(swaps["kl_nats"].max()), 10 * SMALLEST)
    far = int(swaps["distance"].max())
    for place, ax in enumerate(axes.ravel()):
        if place >= n:
            ax.set_visible(False)
            continue
        ax.set_xscale("log")
        ax.set_yscale("symlog", linthresh=SMALLEST, linscale=0.6)
        ax.set_xlim(0.85, 1.2 * far)
        ax.set_ylim(-SMALLEST / 2, 8 * top)
        ax.xaxis.set_major_locator(FixedLocator(TICKS))
        ax.yaxis.set_major_locator(FixedLocator([0, 1e-6, 1e-4, 1e-2, 1]))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if place % COLUMNS == 0:
            ax.set_ylabel("KL in nats")
        else:
            ax.tick_params(labelleft=False)
        if place + COLUMNS >= n:
            ax.set_xlabel("tokens before the last")
