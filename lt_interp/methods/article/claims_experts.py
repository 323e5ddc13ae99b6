"""Claims of the article's part 4: what the experts do."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.article.claim_kinds import gain_claim
from lt_interp.methods.article.evidence import Claim, Evidence
from lt_interp.methods.article.experts import printed_words
from lt_interp.methods.article.saved import NotMeasured, numbers, one_row
from lt_interp.methods.article.verdict import FAILS, HOLDS, IN_PART, Finding, all_of, yes

ANALYSIS, MOE = "moe_routing", "10_moe"
POOLED = "pooled"
INFORMATION = "information of the token, share of entropy"
SHUFFLED, RANDOM = "shuffled in the corpus", "random router"
LEVEL = 0.05
MOST_WORDS = 0.8
BY_FREQUENCY, BY_CLASS = "frequency", "frequency and class"
BARELY, RATHER = 0.25, 0.5


def _emerged(evidence: Evidence) -> Finding:
    """How much the token says about the expert, beside what a random router gives."""
    needed = (
        "stage", "layer", "null", "statistic", "value", "null_mean", "null_low", "null_high", "p",
        "n_draws",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "nulls", needed)
    shuffled, random = (
        one_row(table, stage=MOE, layer=POOLED, statistic=INFORMATION, null=null)
        for null in (SHUFFLED, RANDOM)
    )
    p_shuffled, p_random = (numbers(row, "p", "value")[0] for row in (shuffled, random))
    return Finding(
        value=float(random["value"]), unit="share of the expert's entropy",
        n=int(random["n_draws"]), n_of="random routers",
        verdict=emergence(p_shuffled, p_random),
        reason=f"the token tells {random['value']:.1%} of what there is to know of the expert; "
        f"with the decisions shuffled {shuffled['null_mean']:.1%} (p {shuffled['p']:.3f}), with "
        f"untrained random routers on the trained stage {random['null_mean']:.1%}, middle 95% "
        f"{random['null_low']:.1%} to {random['null_high']:.1%} (p {random['p']:.3f})",
    )  # fmt: skip


def emergence(p_shuffled: float, p_random: float) -> str:
    """Verdict on specialisation: beyond chance, and beyond what any random router shows."""
    if p_shuffled >= LEVEL:
        return FAILS
    return HOLDS if p_random < LEVEL else IN_PART


def _learned_router(evidence: Evidence) -> Finding:
    needed = ("stage", "layer", "gradient_reaches", "gradient_norm", "compared", "as_initialised")
    table = evidence.saved.table(ANALYSIS, "origin", needed)
    rows = table[table["stage"] == MOE].drop_duplicates("layer")
    if rows.empty:
        raise NotMeasured(f"not measured for {MOE}")
    reached = rows["gradient_reaches"].astype(bool)
    compared = rows[rows["compared"].astype(bool)]
    same = int(compared["as_initialised"].fillna(value=False).astype(bool).sum())
    return Finding(
        value=float(rows["gradient_norm"].max()), unit="norm of the gradient", n=len(rows),
        n_of="routers", verdict=yes(*reached),
        reason=f"the loss has a gradient at {int(reached.sum())} of {len(rows)} routers; "
        f"{same} of {len(compared)} are as they were initialised",
    )  # fmt: skip


def _words(evidence: Evidence) -> pd.DataFrame:
    """The words of the article's printed table in the first seed of the stage."""
    needed = (
        "stage", "checkpoint", "word", "article_printed", "n_decisions", "share", "low", "high",
        "over_80", "load", "labels", "n_stories",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "article_words", needed)
    table = printed_words(table, MOE)
    if table.empty:
        raise NotMeasured("none of the article's words was routed here")
    return table


def _claimed_words(evidence: Evidence) -> Finding:
    words = _words(evidence)
    over = int(words["over_80"].astype(bool).sum())
    more = int((words["low"] > words["load"]).sum())
    return Finding(
        value=over / len(words), unit="share of words", n=len(words), n_of="words",
        verdict=claimed(over, more, len(words)),
        reason=f"{over} of {len(words)} of its words send more than 80% to that expert here, "
        f"{more} more than the expert's share of all decisions (intervals above it)",
    )  # fmt: skip


def claimed(over: int, more: int, n: int) -> str:
    """Verdict on "one expert had claimed these words".

    Args:
        over: Words of which it gets more than 80%.
        more: Words of which it gets more than of all decisions.
        n: Words in all.
    """
    if over >= MOST_WORDS * n:
        return HOLDS
    return IN_PART if 2 * more > n else FAILS


def _cares(evidence: Evidence) -> Finding:
    """Whether feeling words go elsewhere than other words as frequent."""
    needed = ("stage", "checkpoint", "layer", "matched_by", "difference", "p", "q", "n_words")
    table = evidence.saved.table(ANALYSIS, "feeling_words", needed)
    table = table[table["stage"] == MOE]
    rows = table[table["checkpoint"] == table["checkpoint"].min()] if len(table) else table
    found = {by: rows[rows["matched_by"] == by] for by in (BY_FREQUENCY, BY_CLASS)}
    if found[BY_FREQUENCY].empty:
        raise NotMeasured("too few feeling words were routed here")
    verdicts = [HOLDS if q < LEVEL else FAILS for q in rows["q"]]
    widest = rows.loc[rows["difference"].abs().idxmax()]
    counted = "; ".join(
        f"matched by {by}, {int((some['q'] < LEVEL).sum())} of {len(some)} layers"
        for by, some in found.items()
    )
    return Finding(
        value=float(widest["difference"]), unit="difference of shares", n=int(widest["n_words"]),
        n_of="feeling words", verdict=all_of(verdicts),
        reason=f"feeling words go elsewhere than others at q below {LEVEL}: {counted}; the widest "
        f"difference is in layer {widest['layer']}; a router that nobody trained cuts the words in "
        "two as well, so this alone does not say that it was learned",
    )  # fmt: skip


def _generalist(evidence: Evidence) -> Finding:
    """How many tokens either expert has above 80%."""
    labels = _words(evidence)["labels"].iloc[0]
    needed = (
        "stage", "labels", "n_tokens_tested", "n_over_80_expert_0", "n_over_80_expert_1",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "labelings", needed)
    row = one_row(table, stage=MOE, labels=labels)
    zero, one = int(row["n_over_80_expert_0"]), int(row["n_over_80_expert_1"])
    if not zero + one:
        raise NotMeasured("no token here exceeds 80%, so neither expert is a specialist")
    ratio = min(zero, one) / max(zero, one)
    return Finding(
        value=ratio, unit="ratio of numbers of tokens", n=int(row["n_tokens_tested"]),
        n_of="tokens tested", verdict=generalist(ratio),
        reason=f"{zero} tokens prefer expert 0 above 80%, {one} prefer expert 1",
    )  # fmt: skip


def generalist(ratio: float) -> str:
    """Verdict on "one expert barely specialised", from its tokens over the other's."""
    return HOLDS if ratio <= BARELY else IN_PART if ratio <= RATHER else FAILS


CLAIMS = (
    gain_claim("Experts pay", "A modest numerical improvement.", MOE),
    Claim(
        name="Experts specialise",
        quote="the experts had specialized […] purely from gradient descent on a language modeling "
        "objective",
        measurement=f"how much the token tells about the expert in {MOE}, both layers pooled, "
        "beside shuffled decisions and random routers",
        rule="holds if it is more than with shuffled decisions and with routers that no training "
        "touched (p below 0.05 for both), in part if only more than shuffled, else it does not",
        measure=_emerged,
    ),
    Claim(
        name="The router is learned",
        quote="a learned router that decides which expert handles each token",
        measurement=f"gradient of the loss with respect to the routers of {MOE}",
        rule="holds if a gradient reaches every router, in part if some, else it does not",
        measure=_learned_router,
    ),
    Claim(
        name="Expert 1's words",
        quote="Expert 1 had claimed the emotional and narrative words",
        measurement=f"share of the article's words of which one expert of {MOE} gets over 80%, "
        "experts numbered alike in all seeds",
        rule="holds if four in five words do, in part if it gets more than half of them beyond its "
        "load (intervals above it), else it does not",
        measure=_claimed_words,
    ),
    Claim(
        name="Expert 1 cares",
        quote="Expert 0 is the generalist. Expert 1 is the one that cares.",
        measurement=f"where feeling words go in {MOE}, against words of the same frequency, and of "
        "the same class too; a permutation test over words",
        rule="holds if they go elsewhere in every layer by both matchings (q below 0.05), in part "
        "if in some, else it does not",
        measure=_cares,
    ),
    Claim(
        name="Expert 0 is the generalist",
        quote="Expert 0 barely specialized at all — only five tokens preferred it above 80%",
        measurement=f"tokens that prefer the one expert of {MOE} above 80%, beside those that "
        "prefer the other",
        rule=f"holds if the ratio is {BARELY} or less, in part up to {RATHER}, else it does not",
        measure=_generalist,
    ),
)
