"""Intervals by resampling stories, the unit that is drawn independently; tokens are not.

Tokens of one story share its words and its difficulty, so an interval that resamples tokens is too
narrow. Percentile bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

DRAWS = 2000
LEVEL = 0.95
CHUNK_CELLS = 4_000_000  # resampled stories held at once: 32 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Estimates and their intervals, for `k` quantities that were measured on the same stories.

    Attributes:
        estimate: Sum of the totals over sum of the counts.
        low: Lower end; nan with fewer than 2 stories, which leave nothing to resample.
        high: Upper end.
        n_stories: How many stories had a count and were resampled.
    """

    estimate: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    n_stories: int


def story_bootstrap(
    totals: Float[np.ndarray, "story k"],
    counts: Int[np.ndarray, " story"],
    *,
    seed: int,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """Mean per token of quantities that were summed within each story.

    Every draw takes as many stories as there are, with replacement, the same ones for all `k`.

    Args:
        totals: Sum within each story, for example of losses in nats.
        counts: Tokens summed within each story; a story with 0 is left out.
        seed: Of the resampling.
        draws: How many resampled sets.
        level: Share of draws between the interval's ends.

    Returns:
        The estimates with their percentile intervals.

    Raises:
        ValueError: No story has a token, or an option is out of range.

    Example:
        >>> story_bootstrap(np.array([[2.0], [4.0]]), np.array([1, 2]), seed=0).estimate
        array([2.])
    """
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"level {level} must lie between 0 and 1, and draws {draws} be 1 or more")
    scored = counts > 0
    totals, counts = totals[scored].astype(np.float64), counts[scored].astype(np.float64)
    n_stories = len(counts)
    if n_stories == 0:
        raise ValueError("no story has a token")
    estimate = totals.sum(axis=0) / counts.sum()
    if n_stories == 1:
        nan = np.full_like(estimate, np.nan)
        return Interval(estimate=estimate, low=nan, high=nan, n_stories=1)
    resampled = _resample(totals, counts, np.random.default_rng(seed), draws)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(estimate=estimate, low=low, high=high, n_stories=n_stories)


def story_difference(
    first: Float[np.ndarray, " story"],
    second: Float[np.ndarray, " story"],
    counts: Int[np.ndarray, " story"],
    *,
    seed: int,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """Paired difference per token, first minus second, of two sums over the same tokens.

    What makes a story hard is in both and cancels; only what they disagree about is left to vary.

    Args:
        first: Sum within each story under one model.
        second: The same under another.
        counts: Tokens summed within each story.
        seed: Of the resampling.
        draws: How many resampled sets.
        level: Share of draws between the interval's ends.

    Returns:
        One difference (`k` is 1); an interval that excludes 0 separates the two.

    Raises:
        ValueError: As `story_bootstrap`.
    """
    return story_bootstrap((first - second)[:, None], counts, seed=seed, draws=draws, level=level)


def _resample(
    totals: Float[np.ndarray, "story k"],
    counts: Float[np.ndarray, " story"],
    rng: np.random.Generator,
    draws: int,
) -> Float[np.ndarray, "draw k"]:
    """The estimate under each set of resampled stories, a chunk of draws at a time."""
    n_stories = len(counts)
    chunk = max(1, CHUNK_CELLS // n_stories)
    parts = []
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        times = rng.multinomial(n_stories, np.full(n_stories, 1 / n_stories), size=size)
        parts.append((times @ totals) / (times @ counts)[:, None])
    return np.concatenate(parts)
