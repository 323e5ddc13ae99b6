"""Can a stage tell two orders of the same tokens apart, and how far back does it look?

The article asks with one pair of sentences, "the girl saw the dog" and "the dog saw the girl"
(`pair`). The general test (`permutations`) cuts prefixes from stories (`prefixes`), holds the last
token fixed and shuffles the ids before it (`orders`); neighbours swapped at a known distance from
the end (`swaps`) say how far a stage looks. From both follows a verdict (`verdict`).
"""

from lt_interp.methods.position_blindness.analysis import position_blindness
from lt_interp.methods.position_blindness.pair import AS_PRINTED, COMMON_LAST, expect_identical
from lt_interp.methods.position_blindness.verdict import (
    BLIND,
    BLIND_AS_MEASURED,
    SENSITIVE,
    expected_verdict,
    window_verdict,
)

__all__ = [
    "AS_PRINTED",
    "BLIND",
    "BLIND_AS_MEASURED",
    "COMMON_LAST",
    "SENSITIVE",
    "expect_identical",
    "expected_verdict",
    "position_blindness",
    "window_verdict",
]
