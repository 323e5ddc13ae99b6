"""How much each rung gains over the one before it, with its interval."""

from __future__ import annotations

from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import NEUTRAL, OURS
from lt_interp.methods.result import Result


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every pair."""
    return 9.0, 1.4 + 0.42 * len(result.tables["pairs"])


def paired_differences(result: Result, ax: Axes) -> Axes:
    """Paired differences of the loss, one line a pair; left of zero the later stage is better.

    Args:
        result: The evolution, with its table `pairs`.
        ax: Where to draw.

    Returns:
        The same axis, with bars from `low` to `high`. A point is filled when its interval
        excludes zero.
    """
    pairs = result.tables["pairs"]
    ax.axvline(0, color=NEUTRAL, linewidth=1.5)
    for row, pair in enumerate(pairs.itertuples()):
        certain = pair.high < 0 or pair.low > 0
        ax.errorbar(
            [pair.difference_nats], [row],
            xerr=[[pair.difference_nats - pair.low], [pair.high - pair.difference_nats]],
            fmt="o", color=OURS, markersize=7, capsize=4,
            markerfacecolor=OURS if certain else "white",
        )  # fmt: skip
    names = [
        f"{stage_label(p.stage)}, after {p.previous.split('_')[0]}" for p in pairs.itertuples()
    ]
    ax.set_yticks(range(len(pairs)), names)
    ax.set_ylim(len(pairs) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("difference of the loss in nats a token (left of zero: better)")
    return ax
