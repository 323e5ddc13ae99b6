"""Sentences of an article, put to the test one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd

from lt_interp.methods.result import make_table
from lt_interp.methods.verdict import UNTESTABLE, Finding

CLAIMS = {
    "claim": str,
    "quote": str,
    "measurement": str,
    "rule": str,
    "value": float,
    "low": float,
    "high": float,
    "unit": str,
    "n": int,
    "n_of": str,
    "verdict": str,
    "reason": str,
}
Evidence = TypeVar("Evidence", contravariant=True)


class NotMeasured(Exception):  # noqa: N818 - not an error: the answer "not testable here"
    """What a claim needs is not there; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Claim(Generic[Evidence]):
    """A sentence of an article and how it is put to the test.

    Attributes:
        name: Short, for tables.
        quote: The article's words.
        measurement: What is measured.
        rule: When it holds, holds in part, or does not.
        measure: Returns the finding, or raises `NotMeasured` with the reason why not.
    """

    name: str
    quote: str
    measurement: str
    rule: str
    measure: Callable[[Evidence], Finding]


def judged(claims: Sequence[Claim[Evidence]], evidence: Evidence) -> pd.DataFrame:
    """The table `CLAIMS`: every claim with what was measured and the verdict.

    A claim is "not testable here" where what it needs was not measured.
    """
    return make_table(CLAIMS, [_row(claim, _judge(claim, evidence)) for claim in claims])


def _judge(claim: Claim[Evidence], evidence: Evidence) -> Finding:
    try:
        return claim.measure(evidence)
    except NotMeasured as reason:
        return Finding(value=None, verdict=UNTESTABLE, reason=str(reason))


def _row(claim: Claim[Evidence], found: Finding) -> dict[str, Any]:
    return {
        "claim": claim.name, "quote": claim.quote, "measurement": claim.measurement,
        "rule": claim.rule, "value": found.value, "low": found.low, "high": found.high,
        "unit": found.unit or None, "n": found.n, "n_of": found.n_of or None,
        "verdict": found.verdict, "reason": found.reason,
    }  # fmt: skip
