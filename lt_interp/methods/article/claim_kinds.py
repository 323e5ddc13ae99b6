"""Kinds of claims that the article makes several times."""

from __future__ import annotations

import math

import pandas as pd

from lt_interp.article import article_stage
from lt_interp.methods.article.evidence import Claim, Evidence
from lt_interp.methods.article.saved import numbers, one_row
from lt_interp.methods.article.verdict import FAILS, GAIN_RULE, HOLDS, Finding, gain
from lt_interp.stages import STAGES


def gain_claim(name: str, quote: str, stage: str) -> Claim:
    """A claim that a stage brought perplexity down from that of the stage it grew from."""
    previous = STAGES[stage].grows_from or ""
    return Claim(
        name=name,
        quote=quote,
        measurement=f"loss of {stage} minus loss of {previous} on the same tokens",
        rule=GAIN_RULE,
        measure=lambda evidence: gain_finding(evidence, stage),
    )


def gain_finding(evidence: Evidence, stage: str) -> Finding:
    """The gain over the stage it grew from, beside the article's."""
    row = evidence.gain(stage)
    published = published_gain(stage)
    return Finding(
        value=row["difference_nats"],
        low=row["low"],
        high=row["high"],
        unit="nats a token",
        n=int(row["n_stories"]),
        n_of="stories",
        verdict=gain(row["difference_nats"], row["high"], published=published),
        reason=f"perplexity changes by the factor {math.exp(row['difference_nats']):.3f} here, by "
        f"{math.exp(-published):.3f} in the article",
    )


def published_gain(stage: str) -> float:
    """How far the loss fell in the article, in nats: the logarithm of a ratio of perplexities."""
    previous = STAGES[stage].grows_from or ""
    before, now = (article_stage(each)["perplexity"] for each in (previous, stage))
    return math.log(before / now)


def shuffled_finding(evidence: Evidence, stage: str) -> Finding:
    """The largest change of a logit when the tokens before the last change places."""
    table = evidence.saved.table(
        "position_blindness",
        "permutations",
        ("stage", "weights", "max_abs_logit_difference", "bound", "n_stories"),
    )
    row = one_row(table, stage=stage, weights="trained")
    largest, bound = numbers(row, "max_abs_logit_difference", "bound")
    return Finding(
        value=largest,
        unit="logits",
        n=int(row["n_stories"]),
        n_of="stories",
        verdict=HOLDS if largest <= bound else FAILS,
        reason=f"other orders of the tokens before the last move a logit by {largest:.2g} at "
        f"most; rounding may move it by {bound:.2g}",
    )


def known(value: float) -> float | None:
    """A number of a table; `None` where it is missing."""
    return None if pd.isna(value) else float(value)
