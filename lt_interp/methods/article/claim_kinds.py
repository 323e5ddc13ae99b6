"""Kinds of claims that the article makes several times."""

from __future__ import annotations

import math

import pandas as pd

from lt_interp.article import article_stage
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.head_start import (
    UNEQUAL_RULE,
    as_trained,
    head_start,
    unequal_clause,
)
from lt_interp.methods.article.saved import numbers, one_row
from lt_interp.methods.claims import Claim
from lt_interp.methods.verdict import (
    FAILS,
    GAIN_RULE,
    HOLDS,
    Finding,
    at_most_in_part,
    gain,
)
from lt_interp.stages import STAGES

# The perplexity of the stage before, where the article trained it once more beside this one: the
# bigram beside the n-grams, for as many steps as they (note on the stages in article.json).
PUBLISHED_BESIDE = {"03b_trigram": 37.4}


def gain_claim(name: str, quote: str, stage: str) -> Claim:
    """A claim that a stage brought perplexity down from that of the stage it grew from."""
    previous = STAGES[stage].grows_from or ""
    return Claim(
        name=name,
        quote=quote,
        measurement=f"loss of {stage} minus loss of {previous} on the same tokens",
        rule=GAIN_RULE + UNEQUAL_RULE,
        measure=lambda evidence: gain_finding(evidence, stage),
    )


def gain_finding(evidence: Evidence, stage: str) -> Finding:
    """The gain over the stage it grew from, beside the article's."""
    row = evidence.gain(stage)
    published = published_gain(stage)
    verdict = gain(row["difference_nats"], row["high"], published=published)
    spread = seed_spread(evidence, stage)
    small = spread is not None and -row["difference_nats"] < spread
    times = head_start(evidence, stage)
    return Finding(
        value=row["difference_nats"],
        low=row["low"],
        high=row["high"],
        unit="nats a token",
        n=int(row["n_stories"]),
        n_of="stories",
        verdict=as_trained(at_most_in_part(verdict) if small else verdict, times),
        reason=f"perplexity changes by the factor {math.exp(row['difference_nats']):.3f} here, by "
        f"{math.exp(-published):.3f} in the article; {_seeds(evidence, stage, small=small)}"
        f"{unequal_clause(times)}",
    )


def seed_spread(evidence: Evidence, stage: str) -> float | None:
    """How far runs of one stage lie apart that differ in their seed only.

    Returns:
        The wider of this stage's spread and of that of the one it grew from, in nats; where both
        have one run, the widest of any stage; `None` where every stage has one.
    """
    found = _runs_with_other_seeds(evidence, stage)
    return None if found.empty else float(found["spread_nats"].max())


def _runs_with_other_seeds(evidence: Evidence, stage: str) -> pd.DataFrame:
    """The rows of `seeds` of a stage and of that it grew from; where there are none, all."""
    table = evidence.tables["seeds"]
    own = table[table["stage"].isin([stage, STAGES[stage].grows_from])]
    return table if own.empty else own


def _seeds(evidence: Evidence, stage: str, *, small: bool) -> str:
    """What the seeds say of a gain."""
    found = _runs_with_other_seeds(evidence, stage)
    if found.empty:
        return "one run of every stage, so another seed may give another gain"
    widest = found.loc[found["spread_nats"].idxmax()]
    side = "so a gain must be wider to be the part's" if small else "less than the gain"
    return (
        f"runs of {widest['stage']} with other seeds lie {widest['spread_nats']:.3f} nats apart, "
        f"{side}"
    )


def published_gain(stage: str) -> float:
    """How far the loss fell in the article, in nats: the logarithm of a ratio of perplexities."""
    previous = STAGES[stage].grows_from or ""
    before = PUBLISHED_BESIDE.get(stage) or article_stage(previous)["perplexity"]
    return math.log(before / article_stage(stage)["perplexity"])


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
        f"most; rounding may move it by {bound:.2g}; no interval of a largest value",
    )


def known(value: float) -> float | None:
    """A number of a table; `None` where it is missing."""
    return None if pd.isna(value) else float(value)
