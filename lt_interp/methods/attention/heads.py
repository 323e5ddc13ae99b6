"""The scores of every head of one model, beside the uniform pattern and the untrained stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.methods.attention.patterns import patterns, uniform_pattern
from lt_interp.methods.attention.sample import Sample
from lt_interp.methods.attention.scores import (
    REPEAT_SCORES,
    STORY_SCORES,
    UNTESTED,
    query_scores,
    repeat_scores,
    sums_by_unit,
)
from lt_interp.methods.significance import sign_flip_p
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.model.stage_model import StageModel

BATCH_ROWS = 16
ROUNDING = 1e-6  # of a sum of float32 numbers, about

HEAD_SCORES = {
    "layer": int,
    "head": int,
    "score": str,
    "value": float,
    "low": float,
    "high": float,
    "uniform": float,
    "untrained": float,
    "untrained_low": float,
    "untrained_high": float,
    "difference_from_uniform": float,
    "difference_low": float,
    "difference_high": float,
    "p": float,
    "n_queries": int,
    "n_stories": int,
    "n_sequences": int,
}

Pattern = Callable[[Int[Tensor, "batch pos"]], Float[Tensor, "layer batch head pos pos"]]
Sums = Float[np.ndarray, "unit layer head score"]
OneHead = Float[np.ndarray, "unit 1 1 score"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Scores of one model, summed within each unit, a story or a sequence, on the same queries.

    Attributes:
        names: Of the scores.
        trained: Sums of the model's own scores.
        untrained: Of the same architecture with random weights.
        uniform: Of the uniform causal pattern, one layer and head.
        counts: Queries of each unit.
    """

    names: tuple[str, ...]
    trained: Sums
    untrained: Sums
    uniform: OneHead
    counts: Int[np.ndarray, " unit"]


def pattern_of(model: StageModel) -> Pattern:
    """What turns token ids into a model's patterns."""
    return lambda tokens: patterns(model, tokens)


def uniform(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "1 batch 1 pos pos"]:
    """The uniform causal pattern of any tokens."""
    batch, pos = tokens.shape
    return uniform_pattern(pos).expand(1, batch, 1, pos, pos)


def story_sums(
    pattern: Pattern, sample: Sample, advance: Callable[[int], None] = lambda _: None
) -> Sums:
    """Sums over the queries of each unit of `sample.unit`, but for the first query of each row.

    Args:
        pattern: Whose scores.
        sample: What is read.
        advance: Called with the rows done.
    """
    total: Any = 0.0
    for start in range(0, len(sample.tokens), BATCH_ROWS):
        advance(start)
        rows = slice(start, start + BATCH_ROWS)
        tokens = torch.from_numpy(sample.tokens[rows])
        scores = query_scores(pattern(tokens), tokens)
        total = total + sums_by_unit(scores, sample.unit[rows], sample.n_units)
    return total


def repeat_sums(
    pattern: Pattern, tokens: Int[np.ndarray, "sequence both"]
) -> Float[np.ndarray, "sequence layer head score"]:
    """Sums over the second half of each sequence of random tokens."""
    n, period = len(tokens), tokens.shape[1] // 2
    scores = repeat_scores(pattern(torch.from_numpy(tokens)), period=period)
    return sums_by_unit(scores, np.repeat(np.arange(n)[:, None], period, axis=1), n)


def on_stories(trained: Sums, untrained: Sums, uniform: OneHead, *, sample: Sample) -> Scored:
    """Scores on the stories, a unit a story, from sums by story and place in the row."""
    shape = (len(sample.corpus_story), -1)

    def by_story(sums: np.ndarray) -> np.ndarray:
        return sums.reshape(*shape, *sums.shape[1:]).sum(axis=1)

    return Scored(
        names=STORY_SCORES,
        trained=by_story(trained),
        untrained=by_story(untrained),
        uniform=by_story(uniform),
        counts=sample.unit_counts.reshape(shape).sum(axis=1),
    )


def on_repeats(trained: Sums, untrained: Sums, uniform: OneHead, *, period: int) -> Scored:
    """Scores on repeated random tokens, a unit a sequence."""
    return Scored(
        names=REPEAT_SCORES,
        trained=trained,
        untrained=untrained,
        uniform=uniform,
        counts=np.full(len(trained), period),
    )


def head_rows(scored: Scored, *, seed: int, unit: str) -> list[dict[str, Any]]:
    """One row a head and score: estimates, intervals and the p value against uniform.

    Args:
        scored: What was summed.
        seed: Of the resampling and of the signs.
        unit: What was summed within, `"stories"` or `"sequences"`.
    """
    difference = _beyond_rounding(scored.trained, scored.uniform)
    kinds = np.broadcast_arrays(scored.trained, scored.uniform, scored.untrained, difference)
    flat = np.stack(kinds, axis=1).reshape(len(scored.counts), -1)
    interval = story_bootstrap(flat, scored.counts, seed=seed)
    shape = difference.shape[1:]
    ends = (interval.estimate, interval.low, interval.high)
    value, low, high = (end.reshape(4, *shape) for end in ends)
    p = sign_flip_p(difference.reshape(len(scored.counts), -1), seed=seed).reshape(shape)
    return [
        {
            "layer": at[0],
            "head": at[1],
            "score": name,
            "value": float(value[0][at]),
            "low": float(low[0][at]),
            "high": float(high[0][at]),
            "uniform": float(value[1][at]),
            "untrained": float(value[2][at]),
            "untrained_low": float(low[2][at]),
            "untrained_high": float(high[2][at]),
            "difference_from_uniform": float(value[3][at]),
            "difference_low": float(low[3][at]),
            "difference_high": float(high[3][at]),
            "p": None if name in UNTESTED else float(p[at]),
            "n_queries": int(scored.counts.sum()),
            f"n_{unit}": interval.n_stories,
        }
        for at, name in ((at, scored.names[at[2]]) for at in np.ndindex(*shape))
    ]


def _beyond_rounding(sums: Sums, uniform: OneHead) -> Float[np.ndarray, "unit layer head score"]:
    """Score minus uniform score, zero where they are equal but for the order of additions.

    Such a difference has the same sign in every story, and a test of signs would find it.
    """
    difference = sums - uniform
    return np.where(np.abs(difference) <= ROUNDING * (np.abs(sums) + uniform), 0.0, difference)
