"""Time and memory of one further token against how much was read before it."""

from __future__ import annotations

import numpy as np

from lt_interp.figures.bands import COLOURS
from lt_interp.figures.save import plain_log_axis
from lt_interp.methods.result import Result

SIZE, PANELS = (11.0, 4.6), (1, 2)


def time_and_memory(result: Result, axes: np.ndarray) -> np.ndarray:
    """Left: milliseconds with a cache (solid) and without (dotted); right: the cache's size."""
    time, memory = axes.flat
    for colour, (stage, rows) in zip(
        COLOURS, result.tables["tokens"].groupby("stage", sort=False), strict=False
    ):
        length = rows["length"]
        time.plot(length, 1000 * rows["kept_seconds"], "o-", color=colour, label=f"{stage}, kept")
        time.plot(
            length, 1000 * rows["read_again_seconds"], "o:", color=colour,
            label=f"{stage}, read again",
        )  # fmt: skip
        memory.plot(length, rows["cache_bytes"] / 2**20, "o-", color=colour, label=str(stage))
    for ax, label in ((time, "milliseconds a token"), (memory, "cache, MiB")):
        plain_log_axis(ax, "x")
        plain_log_axis(ax, "y")
        ax.set_xlabel("tokens read before")
        ax.set_ylabel(label)
        ax.legend(fontsize=9)
    return axes
