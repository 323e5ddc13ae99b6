"""Ratios of sums over prefixes, with intervals that resample stories."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lt_interp.methods.statistics import DRAWS, LEVEL, Interval, story_bootstrap


def mean_by_story(
    values: Float[np.ndarray, "n k"], story: Int[np.ndarray, " n"], *, seed: int
) -> Interval:
    """Means of `k` measures that were all taken on the same variants.

    Args:
        values: A row a variant.
        story: The story of each row.
        seed: Of the resampling.
    """
    counts = np.unique(story, return_counts=True)[1]
    return story_bootstrap(_sums(values, story), counts, seed=seed)


def ratio_by_story(
    top: Float[np.ndarray, "n k"],
    bottom: Float[np.ndarray, "n k"],
    story: Int[np.ndarray, " n"],
    *,
    seed: int,
) -> Interval:
    """Sums of `top` over sums of `bottom`, column by column.

    Every draw takes the same stories above and below the line and for all columns, so what makes a
    story hard is on both sides. With zeros and ones below, it is the mean of a part of the rows.

    Args:
        top: What is summed above the line.
        bottom: What is summed below it, none negative.
        story: The story of each row.
        seed: Of the resampling.

    Returns:
        nan for a column whose lower sum is zero, and for the ends of a column to which fewer than
        two stories contribute.
    """
    above, below = _sums(top, story), _sums(bottom, story)
    n_stories = len(above)
    estimate = _divide(above.sum(axis=0), below.sum(axis=0))
    times = _times(n_stories, seed)
    drawn = _divide(times @ above, times @ below)
    low, high = np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    for column in np.flatnonzero((below > 0).sum(axis=0) > 1):
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low[column], high[column] = np.nanquantile(drawn[:, column], ends)
    return Interval(estimate=estimate, low=low, high=high, n_stories=n_stories)


def numbers(interval: Interval, place: int) -> tuple[float | None, float | None, float | None]:
    """Estimate, low and high of one measure as JSON values, `None` for what is not known."""
    return tuple(_known(part[place]) for part in (interval.estimate, interval.low, interval.high))  # type: ignore[return-value]


@lru_cache(maxsize=4)
def _times(n_stories: int, seed: int) -> Int[np.ndarray, "draw story"]:
    """How often each draw takes each story: the same for every model, and slow to draw."""
    chances = np.full(n_stories, 1 / n_stories)
    return np.random.default_rng(seed).multinomial(n_stories, chances, size=DRAWS)


def _known(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _divide(
    top: Float[np.ndarray, "*draw k"], bottom: Float[np.ndarray, "*draw k"]
) -> Float[np.ndarray, "*draw k"]:
    """Where there is nothing to divide by, nan."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _sums(
    values: Float[np.ndarray, "n k"], story: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "story k"]:
    """Totals of the stories that occur."""
    stories, place = np.unique(story, return_inverse=True)
    totals = np.zeros((len(stories), values.shape[1]))
    np.add.at(totals, place, values)
    return totals
