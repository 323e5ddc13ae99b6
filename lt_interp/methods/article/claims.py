"""All claims, in the article's order, and the table of their verdicts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.methods.article import (
    claims_attention,
    claims_experts,
    claims_ngrams,
    claims_parts,
    claims_prompt,
    claims_story,
    claims_whole,
)
from lt_interp.methods.article.evidence import Claim, Evidence, judge
from lt_interp.methods.result import make_table

ALL_CLAIMS: tuple[Claim, ...] = (
    *claims_ngrams.CLAIMS,
    *claims_attention.CLAIMS,
    *claims_parts.CLAIMS,
    *claims_prompt.CLAIMS,
    *claims_experts.CLAIMS,
    *claims_story.CLAIMS,
    *claims_whole.CLAIMS,
)

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


def claims_table(evidence: Evidence) -> pd.DataFrame:
    """Every claim with what was measured and the verdict."""
    return make_table(CLAIMS, [_row(claim, evidence) for claim in ALL_CLAIMS])


def _row(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    found = judge(claim, evidence)
    return {
        "claim": claim.name, "quote": claim.quote, "measurement": claim.measurement,
        "rule": claim.rule, "value": found.value, "low": found.low, "high": found.high,
        "unit": found.unit or None, "n": found.n, "n_of": found.n_of or None,
        "verdict": found.verdict, "reason": found.reason,
    }  # fmt: skip
