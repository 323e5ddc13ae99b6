"""The numbers behind the article's claims: from sums by story, and from single prompts."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lt_interp.methods.statistics import Interval, story_bootstrap, story_difference

# The score that the uniform pattern is asked for: a key drawn at random is the largest as often as
# it has weight, and never holds more than half from the second query on.
_UNIFORM = {"current": "uniform", "self_largest": "uniform", "same_token": "uniform_same_token"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """A quantity on stories, or on one prompt, which has no interval.

    Attributes:
        value: The estimate.
        low: Lower end of its 95% interval; `None` without one.
        high: Upper end.
        baseline: The uniform causal pattern's value on the same queries; 0 for a difference.
        n_queries: Queries it is the mean of.
        n_stories: Stories that were resampled.
    """

    value: float
    low: float | None = None
    high: float | None = None
    baseline: float
    n_queries: int
    n_stories: int | None = None


def story_value(
    by_story: pd.DataFrame, stage: str, score: str, *, last_query: int | None, seed: int
) -> Value | None:
    """A score of a stage on stories, the mean over its heads; `None` if it was not measured.

    Args:
        by_story: Sums by story and place.
        stage: Which stage.
        score: Which score.
        last_query: Leave out queries after this place in their row; `None` for none.
        seed: Of the resampling.
    """
    sums = _sums(by_story, stage, last_query)
    if sums.empty:
        return None
    counts = sums["n_queries"].to_numpy()
    found = story_bootstrap(sums[[score]].to_numpy(float), counts, seed=seed)
    uniform = sums[_UNIFORM[score]].sum() / counts.sum() if score in _UNIFORM else 0.0
    return _value(found, baseline=float(uniform), n_queries=int(counts.sum()))


def story_change(
    by_story: pd.DataFrame,
    before: str,
    after: str,
    score: str,
    *,
    last_query: int | None,
    seed: int,
) -> Value | None:
    """A score of one stage minus that of another, paired by story; `None` if one is missing."""
    was, now = (_sums(by_story, stage, last_query) for stage in (before, after))
    if was.empty or now.empty:
        return None
    counts = was["n_queries"].to_numpy()
    found = story_difference(
        now[score].to_numpy(float), was[score].to_numpy(float), counts, seed=seed
    )
    return _value(found, baseline=0.0, n_queries=int(counts.sum()))


def prompt_value(patterns: pd.DataFrame, stage: str, prompt: str, score: str) -> Value | None:
    """A score on a prompt, all queries but the first; `None` if it was not drawn."""
    cells = patterns[
        (patterns["stage"] == stage) & (patterns["prompt"] == prompt) & (patterns["query"] > 0)
    ]
    if cells.empty:
        return None
    found = _by_query(cells, score)
    uniform = _by_query(cells.assign(weight=1 / (cells["query"] + 1)), score)
    n_queries = int(cells["query"].nunique())
    return Value(value=float(found.mean()), baseline=float(uniform.mean()), n_queries=n_queries)


def _by_query(cells: pd.DataFrame, score: str) -> pd.Series:
    """A score of every query of a prompt."""
    at = ["layer", "head", "query"]
    own = cells[cells["query"] == cells["key"]].set_index(at)["weight"]
    if score == "current":
        return own
    if score == "self_over_half":
        return (own > 0.5).astype(float)
    if score == "same_token":
        return cells[cells["query_token"] == cells["key_token"]].groupby(at)["weight"].sum()
    largest = cells.groupby(at)["weight"].transform("max")
    ties = cells[cells["weight"] >= largest].groupby(at)["weight"].agg(["max", "size"])
    return (own == ties["max"]) / ties["size"]


def _sums(by_story: pd.DataFrame, stage: str, last_query: int | None) -> pd.DataFrame:
    """Means over the heads of the sums within each story, ordered by story."""
    chosen = by_story[by_story["stage"] == stage]
    if last_query is not None:
        chosen = chosen[chosen["first_query"] <= last_query]
    n_heads = len(chosen[["layer", "head"]].drop_duplicates())
    names = ["current", "same_token", "self_largest", "self_over_half", "uniform",
             "uniform_same_token", "n_queries"]  # fmt: skip
    sums = chosen.groupby("story")[names].sum() / max(n_heads, 1)
    return sums.astype({"n_queries": int})


def _value(found: Interval, *, baseline: float, n_queries: int) -> Value:
    return Value(
        value=float(found.estimate[0]),
        low=float(found.low[0]),
        high=float(found.high[0]),
        baseline=baseline,
        n_queries=n_queries,
        n_stories=found.n_stories,
    )
