"""Lines with the intervals around them, one for each of several things that are compared."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND

COLOURS = (OURS, ARTICLE, SECOND, NEUTRAL, "#029E73", "#CA9161")


def bands(
    ax: Axes, tables: Mapping[str, pd.DataFrame], *, x: str, y: str, markers: bool = False
) -> Axes:
    """Draw a line for each table, in the order given.

    Args:
        ax: Where to draw.
        tables: By label: `x`, `y`, and the ends `low` and `high`, which may be missing.
        x: Column of the horizontal axis.
        y: Column of the vertical one.
        markers: Whether to mark every point.
    """
    for colour, (label, table) in zip(COLOURS, tables.items(), strict=False):
        ax.plot(table[x], table[y], "o-" if markers else "-", color=colour, label=label)
        low, high = (table[end].to_numpy(float) for end in ("low", "high"))
        ax.fill_between(table[x], low, high, color=colour, alpha=0.2, linewidth=0)
    return ax
