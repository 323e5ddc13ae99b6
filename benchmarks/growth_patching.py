"""Patching time as prompts grow longer and pairs more: seconds, and the slope they grow with.

Expected of all grids of one pair: a grid by position has a cell for every position, and a cell runs
the positions from its own to the last, so that time grows with the square of the length (attention,
every query with every key, with the cube, which these lengths do not reach). Pairs are rows of the
same batches, so time grows with their number. Attribution is three passes over all tokens, linear
in both. Small sizes cost the calls themselves and grow more slowly.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import lt_interp as lt
from benchmarks.attribution import ours as attributed
from benchmarks.harness import upper_slope
from benchmarks.patching import STAGE, random_pairs
from benchmarks.patching import ours as patched
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.timing import REPEATS, seconds
from lt_interp.model.stage_model import StageModel

LENGTHS = (10, 20, 40, 80, 120, 200)
PAIRS = (1, 2, 4, 8, 16, 32, 64)
SHORT = 20  # tokens of each prompt while the number of pairs grows
Work = Callable[[StageModel, PairGroup], object]


def _heads(model: StageModel, pairs: PairGroup) -> object:
    return attributed(model, pairs, parts=("z",))


CURVES: dict[str, tuple[Work, str, tuple[int, ...], float]] = {
    "all grids of one pair": (patched, "tokens", LENGTHS, 2.0),
    f"all grids of pairs of {SHORT} tokens": (patched, "pairs", PAIRS, 1.0),
    "attribution of 16 pairs": (_heads, "tokens", LENGTHS, 1.0),
    f"attribution of pairs of {SHORT} tokens": (_heads, "pairs", PAIRS, 1.0),
}
"""By name: the work, what grows, its sizes, and the exponent expected."""


def measure(*, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """Rows of `what`, `grows`, `size`, `seconds` (median), `expected_slope` and `slope`.

    The slope is that of log seconds over log size at the upper half of the sizes.
    """
    model = lt.load(STAGE)
    rows = []
    for what, (work, grows, sizes, expected) in CURVES.items():
        found = []
        for size in sizes:
            n_pairs, n_tokens = (16, size) if grows == "tokens" else (size, SHORT)
            n_pairs = 1 if what == "all grids of one pair" else n_pairs
            pairs = random_pairs(n_pairs, n_tokens, d_vocab=model.config.d_vocab)
            once = partial(work, model, pairs)
            once()  # unmeasured, as in `in_turn`
            found.append(statistics.median(seconds(once) for _ in range(repeats)))
        slope = upper_slope(sizes, found)
        rows += [
            {
                "what": what, "grows": grows, "size": size, "seconds": took,
                "expected_slope": expected, "slope": round(slope, 2),
            }
            for size, took in zip(sizes, found, strict=True)
        ]  # fmt: skip
    return rows
