"""The article's claim that one stage is the first to answer its prompt, tested in two ways."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.article.claim_kinds import known
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.saved import numbers, one_row
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.verdict import (
    FAILS,
    HOLDS,
    IN_PART,
    Finding,
)

HEADS = "09_multi_head"
CHANCE = 0.5  # of two answers to a prompt, the right one


def _first_response(evidence: Evidence) -> Finding:
    """What the true prompt is worth further on, in this stage and in all before it."""
    table = evidence.tables["response"]
    row = one_row(table, stage=HEADS)
    numbers(row, "low", "high")
    earlier = _earlier(table)
    already = earlier[earlier["low"] > 0]
    best = earlier.loc[earlier["benefit_nats"].idxmax()]
    return Finding(
        value=row["benefit_nats"], low=row["low"], high=row["high"], unit="nats a token",
        n=int(row["n_stories"]), n_of="stories",
        verdict=first_response(row, earlier),
        reason=f"{len(already)} of {len(earlier)} earlier stages gain from the true prompt too, "
        f"the most of them {best['stage']} ({best['benefit_nats']:.3f} nats)",
    )  # fmt: skip


def first_response(row: dict, earlier: pd.DataFrame) -> str:
    """Verdict from the benefit of the prompt in a stage and in those before it.

    Args:
        row: The stage's `low` and `high`.
        earlier: The same of the stages before it, at least one.
    """
    if not row["low"] > 0:
        return FAILS
    if not (earlier["low"] > 0).any():
        return HOLDS
    return IN_PART if row["low"] > earlier["high"].max() else FAILS


def _earlier(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of stages before the one that is said to be first."""
    earlier = table[table["stage"] < HEADS]
    if earlier.empty:
        raise NotMeasured("no earlier stage was measured, so none can be first")
    return earlier


def _first_right(evidence: Evidence) -> Finding:
    """Which stage first prefers the answer that a prompt leads to."""
    needed = ("stage", "n_pairs", "share_right", "low", "high")
    table = evidence.saved.table("activation_patching", "clean_accuracy", needed)
    row = one_row(table, stage=HEADS)
    numbers(row, "share_right", "low")
    earlier = _earlier(table)
    able = earlier[earlier["low"] > CHANCE]
    first = able["stage"].iloc[0] if len(able) else "none"
    verdict = FAILS if len(able) or not row["low"] > CHANCE else HOLDS
    return Finding(
        value=row["share_right"], low=known(row["low"]), high=known(row["high"]),
        unit="share of prompts", n=int(row["n_pairs"]), n_of="prompt pairs", verdict=verdict,
        reason=f"earlier stages that prefer the right answer on more than half: {len(able)} of "
        f"{len(earlier)}, the first of them {first}; the pairs were chosen by stage 09's answers, "
        "which favours the claim",
    )  # fmt: skip


CLAIMS: tuple[Claim[Evidence], ...] = (
    Claim(
        name="First to answer the prompt: by loss",
        quote="This is the first model that responded to the prompt.",
        measurement="what the story's own first 32 tokens are worth against another story's, on "
        f"tokens 41 to 72, in {HEADS} and in every stage before it",
        rule=f"holds if {HEADS} is the first with an interval above 0; in part if others are above "
        "0 too but it gains more than each (intervals apart); else it does not",
        measure=_first_response,
    ),
    Claim(
        name="First to answer the prompt: by answers",
        quote="This is the first model that responded to the prompt.",
        measurement="share of the prompt pairs of the page on activation patching in which the "
        "right answer is preferred to the wrong one",
        rule=f"holds if {HEADS} is the first stage whose interval lies above one half, else it "
        "does not",
        measure=_first_right,
    ),
)
