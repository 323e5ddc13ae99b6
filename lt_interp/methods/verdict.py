"""Verdicts on the article's sentences, each computed from numbers by a stated rule.

Every rule reads a whole interval where there is one, so that a verdict says what the stories allow
to be said and not what one number happens to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HOLDS, IN_PART = "holds", "holds in part"
FAILS, UNTESTABLE = "does not hold", "not testable here"
VERDICTS = (HOLDS, IN_PART, FAILS, UNTESTABLE)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a measurement says of a sentence.

    Attributes:
        value: The number that decides, in `unit`.
        verdict: One of `VERDICTS`.
        reason: Why, in words with the numbers.
        low: Lower end of the 95% interval, if it has one.
        high: Upper end.
        unit: Of the value.
        n: What it was measured on.
        n_of: What is counted by `n`, such as "stories".
    """

    value: float | None
    verdict: str
    reason: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int | None = None
    n_of: str = ""


GAIN_RULE = (
    "holds if the loss falls with an interval below 0 and by at least half of the article's gain; "
    "in part if it falls with an interval below 0 but by less; does not hold if the interval "
    "reaches 0; in part at most if the gain is smaller than runs of one stage lie apart"
)


def gain(difference: float, high: float | None, *, published: float) -> str:
    """Verdict on "this part helped".

    Args:
        difference: Loss with the part minus loss without it, in nats.
        high: Upper end of its interval; without one nothing is certain.
        published: The article's gain in nats, positive.
    """
    if high is None or math.isnan(high) or high >= 0:
        return FAILS
    return HOLDS if -difference >= published / 2 else IN_PART


def at_most_in_part(verdict: str) -> str:
    """A verdict that a lack of evidence keeps from being "holds"."""
    return IN_PART if verdict == HOLDS else verdict


def above(low: float, high: float, threshold: float) -> str:
    """Holds if the whole interval lies above a threshold, in part if it contains it."""
    if low > threshold:
        return HOLDS
    return IN_PART if high > threshold else FAILS


def below(low: float, high: float, threshold: float) -> str:
    """Holds if the whole interval lies below a threshold, in part if it contains it."""
    return above(-high, -low, -threshold)


def within(low: float, high: float, margin: float) -> str:
    """Holds if the whole interval lies within the margin around 0, in part if it reaches in."""
    if -margin <= low and high <= margin:
        return HOLDS
    return IN_PART if low <= margin and high >= -margin else FAILS


def all_of(verdicts: Sequence[str]) -> str:
    """Holds if everything does, does not hold if nothing does, and in part otherwise."""
    if all(verdict == HOLDS for verdict in verdicts):
        return HOLDS
    return FAILS if all(verdict == FAILS for verdict in verdicts) else IN_PART


def yes(*answers: bool) -> str:
    """`all_of` of answers that need no interval."""
    return all_of([HOLDS if answer else FAILS for answer in answers])
