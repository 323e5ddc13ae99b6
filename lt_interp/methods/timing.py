"""Two ways of doing the same work, timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable

REPEATS = 5


def in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int = REPEATS
) -> tuple[list[float], list[float]]:
    """Seconds of both, one after the other, so that a machine's drift meets both alike.

    Each runs once beforehand, unmeasured.
    """
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
