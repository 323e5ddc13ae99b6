"""Numbers as readers meet them, written the same way on every page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from lt_interp.figures.labels import perplexity_text

MISSING = "–"
MINUS = "−"

Number = Any
"""A number of Python or of a table's column; `None`, nan or `pandas.NA` where it is missing."""

Write = Callable[[Number], str]
"""How a kind of number is written."""


def _known(value: Number) -> bool:
    return not pd.isna(value)


def perplexity_of(loss_nats: Number) -> float | None:
    """The perplexity that belongs to a mean loss in nats a token; `None` if that is missing."""
    return math.exp(loss_nats) if _known(loss_nats) else None


def perplexity(value: Number) -> str:
    """A perplexity as figures write it too: `"8.31"`, `"270.8"`."""
    return perplexity_text(float(value)) if _known(value) else MISSING


def published(value: Number) -> str:
    """A perplexity as the article gives it, with one decimal."""
    return f"{value:,.1f}" if _known(value) else MISSING


def ends(low: Number, high: Number, write: Write = perplexity) -> str:
    """Both ends of an interval: `"8.20 to 8.42"`."""
    return f"{write(low)} to {write(high)}" if _known(low) and _known(high) else MISSING


def with_ends(value: Number, low: Number, high: Number, write: Write) -> str:
    """A number and its interval, if it has one: `"20.0% (15.0% to 25.0%)"`."""
    if not _known(low) or not _known(high):
        return write(value)
    return f"{write(value)} ({ends(low, high, write)})"


def extremes(values: pd.Series, write: Write) -> str:
    """The least and the greatest of several numbers, or the only one."""
    low, high = write(values.min()), write(values.max())
    return low if low == high else f"{low} to {high}"


def nats(value: Number) -> str:
    """A signed difference in nats with three decimals: `"−0.123"`.

    What rounds to zero has no sign.
    """
    if not _known(value):
        return MISSING
    text = f"{abs(value):.3f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def count(value: Number) -> str:
    """A whole number with separators: `"1,052,672"`."""
    return f"{int(value):,}" if _known(value) else MISSING


def millions(value: Number) -> str:
    """Tokens in millions: `"55.1 M"`."""
    return f"{value / 1e6:,.1f} M" if _known(value) else MISSING


def small(value: Number) -> str:
    """Two significant figures whatever the size: `"0"`, `"2.4e-07"`, `"3.1"`, `"12"`."""
    if not _known(value):
        return MISSING
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 1e-3:
        return f"{value:.1e}".replace("-", MINUS, 1) if value < 0 else f"{value:.1e}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def percent(share: Number) -> str:
    """A share of 1 as a percentage with one decimal: `"32.0%"`, `"−0.3%"`.

    What rounds to zero has no sign.
    """
    if not _known(share):
        return MISSING
    text = f"{abs(100 * share):.1f}%"
    return MINUS + text if share < 0 and text != "0.0%" else text
