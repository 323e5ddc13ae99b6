"""How much a token looks at itself, by its place in the row: more places leave less for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from lt_interp.methods.attention.heads import OneHead, Sums
from lt_interp.methods.attention.sample import Sample
from lt_interp.methods.attention.scores import STORY_SCORES
from lt_interp.methods.statistics import story_bootstrap

BY_PLACE = ("current", "same_token")

BY_POSITION = {
    "layer": int,
    "head": int,
    "score": str,
    "first_query": int,
    "last_query": int,
    "value": float,
    "low": float,
    "high": float,
    "uniform": float,
    "n_queries": int,
    "n_stories": int,
}
BY_STORY = {
    "layer": int,
    "head": int,
    "story": int,
    "first_query": int,
    "n_queries": int,
    **dict.fromkeys(("current", "same_token", "self_largest", "self_over_half"), float),
    "uniform": float,
    "uniform_same_token": float,
}


def position_rows(
    trained: Sums, uniform: OneHead, sample: Sample, *, seed: int
) -> list[dict[str, Any]]:
    """Mean weight on the query itself, and on all keys with its token, in bins of places.

    Args:
        trained: Sums by story and bin.
        uniform: The same of the uniform pattern.
        sample: What was read.
        seed: Of the resampling of stories.
    """
    counts = sample.unit_counts.reshape(-1, sample.n_bins)
    at = [STORY_SCORES.index(score) for score in BY_PLACE]
    rows: list[dict[str, Any]] = []
    for bin_ in range(sample.n_bins):
        both = np.broadcast_arrays(trained, uniform)
        sums = np.stack([kind[bin_ :: sample.n_bins, :, :, at] for kind in both], axis=1)
        found = story_bootstrap(sums.reshape(len(counts), -1), counts[:, bin_], seed=seed)
        ends = (found.estimate, found.low, found.high)
        value, low, high = (end.reshape(sums.shape[1:]) for end in ends)
        rows += [
            {
                "layer": layer,
                "head": head,
                "score": BY_PLACE[place],
                "first_query": 2**bin_,
                "last_query": min(2 ** (bin_ + 1), sample.tokens.shape[1]) - 1,
                "value": float(value[0, layer, head, place]),
                "low": float(low[0, layer, head, place]),
                "high": float(high[0, layer, head, place]),
                "uniform": float(value[1, layer, head, place]),
                "n_queries": int(counts[:, bin_].sum()),
                "n_stories": found.n_stories,
            }
            for layer, head, place in np.ndindex(*value.shape[1:])
        ]
    return sorted(rows, key=lambda row: (row["layer"], row["head"], BY_PLACE.index(row["score"])))


def story_rows(trained: Sums, uniform: OneHead, sample: Sample) -> list[dict[str, Any]]:
    """Sums by story and bin, with which two models are paired, and the uniform pattern's."""
    _, n_layers, n_heads, _ = trained.shape
    counts = sample.unit_counts
    columns = {name: STORY_SCORES.index(name) for name in BY_STORY if name in STORY_SCORES}
    return [
        {
            "layer": layer,
            "head": head,
            "story": int(sample.corpus_story[unit // sample.n_bins]),
            "first_query": int(2 ** (unit % sample.n_bins)),
            "n_queries": int(counts[unit]),
            **{name: float(trained[unit, layer, head, at]) for name, at in columns.items()},
            "uniform": float(uniform[unit, 0, 0, columns["current"]]),
            "uniform_same_token": float(uniform[unit, 0, 0, columns["same_token"]]),
        }
        for layer in range(n_layers)
        for head in range(n_heads)
        for unit in np.flatnonzero(counts).tolist()
    ]
