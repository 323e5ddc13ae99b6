"""All claims, in the article's order, and the table of their verdicts."""

from __future__ import annotations

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
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.claims import Claim, judged

ALL_CLAIMS: tuple[Claim[Evidence], ...] = (
    *claims_ngrams.CLAIMS,
    *claims_attention.CLAIMS,
    *claims_parts.CLAIMS,
    *claims_prompt.CLAIMS,
    *claims_experts.CLAIMS,
    *claims_story.CLAIMS,
    *claims_whole.CLAIMS,
)


def claims_table(evidence: Evidence) -> pd.DataFrame:
    """Every claim with what was measured and the verdict."""
    return judged(ALL_CLAIMS, evidence)
