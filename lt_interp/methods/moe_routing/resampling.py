"""Ratios of sums when stories are resampled, the stories read a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float

from lt_interp.methods.statistics import DRAWS, LEVEL, story_draws

Tables = Iterable[tuple[np.ndarray, np.ndarray]]
BLOCK = 64  # columns whose quantiles are taken at once: 1 MB of draws

EXACT = 2**22  # decisions of a token below which resampled sums are whole numbers in float32 too


def resampled_ratios(
    tables: Callable[[], Tables], *, n: int, seed: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The 95% interval of sums above over sums below the line, column by column.

    What `statistics.story_ratios` gives for the tables joined, without joining them: they are read
    again for every chunk of draws.

    Args:
        tables: Gives, some stories at a time, two tables [story n]: what is summed above and below
            the line, whole numbers. Every story has something below it.
        n: Columns.
        seed: Of the resampling.

    Returns:
        Lower and upper ends; nan for a column to which fewer than two stories contribute.
    """
    n_stories, several, total = 0, np.zeros(n, np.int64), np.zeros(n)
    for _, below in tables():
        n_stories, several = n_stories + len(below), several + (below > 0).sum(axis=0)
        total += below.sum(axis=0)
    dtype = np.float32 if total.max(initial=0) < EXACT else np.float64
    drawn = np.full((DRAWS, n), np.nan)
    done = 0
    for times in story_draws(n_stories, seed=seed) if (several > 1).any() else ():
        above, below = np.zeros((len(times), n)), np.zeros((len(times), n))
        times = times.astype(dtype)
        first = 0
        for top, bottom in tables():
            part = times[:, first : first + len(top)]
            above += part @ top.astype(dtype)
            below += part @ bottom.astype(dtype)
            first += len(top)
        np.divide(above, below, out=drawn[done : done + len(times)], where=below > 0)
        done += len(times)
    ends = np.full((2, n), np.nan)
    asked = np.flatnonzero(several > 1)
    for start in range(0, len(asked), BLOCK):
        some = asked[start : start + BLOCK]
        values = drawn[:, some]
        # The same numbers, but nanquantile takes every column by itself.
        quantile = np.nanquantile if np.isnan(values).any() else np.quantile
        ends[:, some] = quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends[0], ends[1]
