"""Does a head find an earlier copy of a token, or does it just look that far back anyway?

A head that reads by distance alone reaches the place of the earlier copy too, if the period is
short. So the same queries are read twice: behind the same tokens, and behind others. Only the
difference is owed to the repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lt_interp.methods.attention.heads import Sums
from lt_interp.methods.attention.sample import Sample
from lt_interp.methods.attention.scores import REPEAT_SCORES
from lt_interp.methods.significance import sign_flip_p
from lt_interp.methods.statistics import story_bootstrap

REPETITION = {
    "layer": int,
    "head": int,
    "score": str,
    "period_tokens": int,
    "value": float,
    "low": float,
    "high": float,
    "unrepeated": float,
    "difference": float,
    "difference_low": float,
    "difference_high": float,
    "p": float,
    "n_queries": int,
    "n_sequences": int,
}


def repetition_rows(
    repeated: Sequence[Sums], fresh: Sequence[Sums], sample: Sample, *, seed: int
) -> list[dict[str, Any]]:
    """One row a head, score and period; intervals and p values by sequence.

    Args:
        repeated: Sums by sequence where the tokens repeat, for each period.
        fresh: The same queries and places where they do not.
        sample: With the periods.
        seed: Of the resampling and the signs.
    """
    rows = [
        row
        for repeats, with_, without in zip(sample.repeats, repeated, fresh, strict=True)
        for row in _of_period(with_, without, repeats.period, seed)
    ]
    return sorted(rows, key=lambda row: (row["layer"], row["head"]))


def _of_period(repeated: Sums, fresh: Sums, period: int, seed: int) -> list[dict[str, Any]]:
    n, *shape = repeated.shape
    kinds = np.stack([repeated, fresh, repeated - fresh], axis=1)
    found = story_bootstrap(kinds.reshape(n, -1), np.full(n, period), seed=seed)
    ends = (found.estimate, found.low, found.high)
    value, low, high = (end.reshape(3, *shape) for end in ends)
    p = sign_flip_p((repeated - fresh).reshape(n, -1), seed=seed).reshape(shape)
    return [
        {
            "layer": layer,
            "head": head,
            "score": REPEAT_SCORES[place],
            "period_tokens": period,
            "value": float(value[0, layer, head, place]),
            "low": float(low[0, layer, head, place]),
            "high": float(high[0, layer, head, place]),
            "unrepeated": float(value[1, layer, head, place]),
            "difference": float(value[2, layer, head, place]),
            "difference_low": float(low[2, layer, head, place]),
            "difference_high": float(high[2, layer, head, place]),
            "p": float(p[layer, head, place]),
            "n_queries": n * period,
            "n_sequences": found.n_stories,
        }
        for layer, head, place in np.ndindex(*shape)
    ]
