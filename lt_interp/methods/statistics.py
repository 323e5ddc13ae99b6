"""Intervals by resampling stories, the unit that is drawn independently; tokens are not.

Tokens of one story share its words and its difficulty, so an interval that resamples tokens is too
narrow. Percentile bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t

DRAWS = 2000
LEVEL = 0.95
CHUNK_CELLS = 4_000_000  # resampled stories held at once: 32 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Estimates and their intervals, for `k` quantities that were measured on the same stories.

    Attributes:
        estimate: A mean, or a ratio of sums.
        low: Lower end; nan with fewer than 2 stories, which leave nothing to resample.
        high: Upper end.
        n_stories: How many stories had a count and were resampled.
    """

    estimate: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    n_stories: int

    def at(self, place: int) -> tuple[float, float, float]:
        """Estimate, lower and upper end of one quantity."""
        return float(self.estimate[place]), float(self.low[place]), float(self.high[place])


def seeds_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean of a figure over runs, and Student's t interval: what other seeds would give.

    Args:
        values: The figure of each run.

    Returns:
        Mean, lower and upper end; no ends of a single run.

    Example:
        >>> seeds_interval([1.0, 1.0, 1.0])
        (1.0, 1.0, 1.0)
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, None, None
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


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
    drawn = [
        (times @ totals) / (times @ counts)[:, None]
        for times in story_draws(n_stories, seed=seed, draws=draws)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(estimate=estimate, low=low, high=high, n_stories=n_stories)


def story_difference(
    first: Float[np.ndarray, " story"],
    second: Float[np.ndarray, " story"],
    counts: Int[np.ndarray, " story"],
    *,
    seed: int,
) -> Interval:
    """Paired difference per token, first minus second, of two sums over the same tokens.

    What makes a story hard is in both and cancels; only what they disagree about is left to vary.

    Args:
        first: Sum within each story under one model.
        second: The same under another.
        counts: Tokens summed within each story.
        seed: Of the resampling.

    Returns:
        One difference (`k` is 1); an interval that excludes 0 separates the two.

    Raises:
        ValueError: As `story_bootstrap`.
    """
    return story_bootstrap((first - second)[:, None], counts, seed=seed)


def story_totals(
    values: Float[np.ndarray, "n k"], story: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "story k"]:
    """Sums within each story, in double precision.

    Args:
        values: Of each token.
        story: Its story's number.

    Returns:
        A row for every number up to the largest; 0 where a story has no token.
    """
    totals = [np.bincount(story, column.astype(np.float64)) for column in values.T]
    return np.stack(totals, axis=1).astype(np.float64)  # of no token bincount makes integers


def story_means(
    values: Float[np.ndarray, "n k"], story: Int[np.ndarray, " n"], *, seed: int
) -> Interval:
    """Means over tokens of `k` quantities, with intervals that resample stories.

    Args:
        values: Of each token.
        story: Its story's number.
        seed: Of the resampling.

    Raises:
        ValueError: There is no token.
    """
    return story_bootstrap(story_totals(values, story), np.bincount(story), seed=seed)


def story_ratios(
    top: Float[np.ndarray, "story k"],
    bottom: Float[np.ndarray, "story k"],
    *,
    seed: int,
) -> Interval:
    """Sums of `top` over sums of `bottom`, column by column.

    Every draw takes the same stories above and below the line and for all columns, so what makes a
    story hard is on both sides. A draw whose lower sum is zero says nothing of that column.

    Args:
        top: What is summed above the line, within each story.
        bottom: What is summed below it, none negative.
        seed: Of the resampling.

    Returns:
        nan for a column whose lower sum is zero, and for the ends of a column to which fewer than
        two stories contribute.
    """
    counted = (bottom > 0).any(axis=1)
    above, below = top[counted].astype(np.float64), bottom[counted].astype(np.float64)
    estimate = _divide(above.sum(axis=0), below.sum(axis=0))
    low, high = np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    several = (below > 0).sum(axis=0) > 1
    if several.any():
        above, below = above[:, several], below[:, several]
        drawn = [
            _divide(times @ above, times @ below) for times in story_draws(len(above), seed=seed)
        ]
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low[several], high[several] = np.nanquantile(np.concatenate(drawn), ends, axis=0)
    return Interval(estimate=estimate, low=low, high=high, n_stories=int(counted.sum()))


def story_contrast(
    totals: Float[np.ndarray, "2 story k"], counts: Int[np.ndarray, "2 story"], *, seed: int
) -> Interval:
    """Means over some tokens minus means over others, for example over later positions.

    Every draw takes the same stories on both sides and for all `k`, so the contrast of the
    difference of two columns is the paired difference of their contrasts.

    Args:
        totals: Sum within each story over the ones, and over the others.
        counts: Tokens of each kind within each story; a story with neither is left out.
        seed: Of the resampling.

    Returns:
        The differences; without ends where fewer than two stories have a kind.

    Raises:
        ValueError: No story has a token of a kind.

    Example:
        >>> totals, counts = np.array([[[6.0], [2.0]], [[1.0], [1.0]]]), np.array([[2, 2], [1, 1]])
        >>> story_contrast(totals, counts, seed=0).estimate
        array([1.])
    """
    if not counts.any(axis=1).all():
        raise ValueError("no story has a token of one of the two kinds")
    scored = counts.any(axis=0)
    sums, tokens = totals[:, scored].astype(np.float64), counts[:, scored, None].astype(np.float64)
    estimate, n_stories = _contrast(sums.sum(axis=1), tokens.sum(axis=1)), int(scored.sum())
    low, high = np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    if (tokens > 0).sum(axis=1).min() > 1:
        drawn = [
            _contrast(times @ sums, times @ tokens) for times in story_draws(n_stories, seed=seed)
        ]
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low, high = np.nanquantile(np.concatenate(drawn), ends, axis=0)
    return Interval(estimate=estimate, low=low, high=high, n_stories=n_stories)


def _contrast(
    sums: Float[np.ndarray, "2 *draw k"], tokens: Float[np.ndarray, "2 *draw 1"]
) -> Float[np.ndarray, "*draw k"]:
    """The first mean minus the second; nan for a draw without a token of both kinds."""
    first, second = _divide(sums, np.broadcast_to(tokens, sums.shape))
    return first - second


def _divide(
    top: Float[np.ndarray, "*draw k"], bottom: Float[np.ndarray, "*draw k"]
) -> Float[np.ndarray, "*draw k"]:
    """Where there is nothing to divide by, nan."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def story_draws(
    n_stories: int, *, seed: int, draws: int = DRAWS
) -> Iterator[Float[np.ndarray, "draw story"]]:
    """How often each draw takes each story, a chunk of draws at a time.

    Args:
        n_stories: How many there are, and how many every draw takes.
        seed: Of the resampling.
        draws: How many resampled sets.
    """
    if draws * n_stories <= CHUNK_CELLS:
        yield all_draws(n_stories, seed, draws)
        return
    rng, chunk = np.random.default_rng(seed), max(1, CHUNK_CELLS // n_stories)
    for start in range(0, draws, chunk):
        yield _draw(rng, n_stories, min(chunk, draws - start))


@lru_cache(maxsize=6)
def all_draws(n_stories: int, seed: int, draws: int) -> Float[np.ndarray, "draw story"]:
    """All draws at once: the same for every quantity and model of an analysis, slow to draw."""
    times = _draw(np.random.default_rng(seed), n_stories, draws)
    times.flags.writeable = False  # every quantity reads this one array
    return times


def _draw(rng: np.random.Generator, n_stories: int, draws: int) -> Float[np.ndarray, "draw story"]:
    chances = np.full(n_stories, 1 / n_stories)
    return rng.multinomial(n_stories, chances, size=draws).astype(np.float64)
