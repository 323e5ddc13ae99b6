"""Claims of the article's part 4: what the experts do."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lt_interp.methods.article.claim_kinds import gain_claim
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.experts import printed_words
from lt_interp.methods.article.feelings import MOE, who_cares
from lt_interp.methods.article.runs import (
    ANALYSIS,
    doubt,
    judging,
)
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.routing_names import POOLED, RANDOM, SHUFFLED, TOKEN_SHARE
from lt_interp.methods.significance import FDR, false_discovery_q
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, all_of, at_most_in_part, yes

MOST_WORDS = 0.8
BARELY, RATHER = 0.25, 0.5
OTHERS = "the run whose numbering was fitted to the article is left out"


def _emerged(evidence: Evidence) -> Finding:
    """How much the token says about the expert in every run, beside what a random router gives."""
    needed = (
        "stage", "checkpoint", "layer", "null", "statistic", "value", "null_mean", "p", "n_draws",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "nulls", needed)
    table = table[(table["stage"] == MOE) & (table["statistic"] == TOKEN_SHARE)]
    table = table[table["layer"].astype(str) != POOLED].dropna(subset=["p"])
    random = table[table["null"] == RANDOM]
    routers = pd.DataFrame({
        "q_shuffled": _q(table[table["null"] == SHUFFLED]), "q_random": _q(random),
        "reached": _reached(evidence),
    }).dropna()  # fmt: skip
    if routers.empty:
        raise NotMeasured(f"not measured for {MOE}")
    return Finding(
        value=float(random["value"].mean()), unit="share of the expert's entropy",
        n=len(routers), n_of="routers", verdict=emergence(routers),
        reason=f"more than with shuffled decisions at {_passed(routers['q_shuffled'])} routers, "
        "more than with random routers in the trained stage, which give "
        f"{random['null_mean'].mean():.1%} in the mean, at {_passed(routers['q_random'])}; a "
        f"gradient reaches {int(routers['reached'].sum())} of {len(routers)} routers, and what it "
        "does not reach it cannot have taught; no interval: the mean of routers from "
        f"{random['value'].min():.1%} to {random['value'].max():.1%}",
    )  # fmt: skip


def _q(rows: pd.DataFrame) -> pd.Series:
    """The q value of every router, by run and layer."""
    return pd.Series(false_discovery_q(rows["p"].to_numpy(float)), index=_by_router(rows))


def _by_router(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows["checkpoint"], rows["layer"].astype(str)])


def _passed(q: pd.Series) -> str:
    return f"{int((q < FDR).sum())} of {len(q)}"


def emergence(routers: pd.DataFrame) -> str:
    """Verdict on specialisation from gradient descent.

    Args:
        routers: `q_shuffled`, of no more than chance; `q_random`, of no more than a random router
            shows; and whether a gradient has `reached` it.
    """
    more = (routers["q_shuffled"] < FDR) & (routers["q_random"] < FDR)
    return yes(*(more & routers["reached"].astype(bool)))


def _origin(evidence: Evidence) -> pd.DataFrame:
    needed = (
        "stage", "checkpoint", "layer", "gradient_reaches", "gradient_norm", "compared",
        "as_initialised",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "origin", needed)
    rows = table[table["stage"] == MOE]
    if rows.empty:
        raise NotMeasured(f"not measured for {MOE}")
    return rows


def _reached(evidence: Evidence) -> pd.Series:
    """Whether a gradient reaches each router, by run and layer."""
    rows = _origin(evidence)
    return pd.Series(rows["gradient_reaches"].to_numpy(bool), index=_by_router(rows))


def _learned_router(evidence: Evidence) -> Finding:
    rows = _origin(evidence)
    reached = _reached(evidence)
    compared = rows[rows["compared"].astype(bool)]
    same = int(compared["as_initialised"].fillna(value=False).astype(bool).sum())
    return Finding(
        value=float(rows["gradient_norm"].max()), unit="norm of the gradient", n=len(rows),
        n_of="routers", verdict=yes(*reached),
        reason=f"the loss has a gradient at {int(reached.sum())} of {len(rows)} routers; "
        f"{same} of {len(compared)} are as they were initialised; no interval, as the value is the "
        "largest norm",
    )  # fmt: skip


def _claimed_words(evidence: Evidence) -> Finding:
    needed = (
        "stage", "checkpoint", "word", "article_printed", "n_decisions", "share", "low", "high",
        "over_80", "load",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "article_words", needed)
    rows, fitted = judging(printed_words(table), MOE)
    if rows.empty:
        raise NotMeasured("none of the article's words was routed here")
    runs = [
        (int(run["over_80"].astype(bool).sum()), int((run["low"] > run["load"]).sum()), len(run))
        for _, run in rows.groupby("checkpoint", sort=False)
    ]
    verdict = all_of([claimed(*run) for run in runs])
    why = doubt(evidence, MOE, fitted=fitted)
    shares = [over / n for over, _, n in runs]
    each = "; ".join(
        f"{over} of {n} words go to that expert more than 80% of the time, {more} more often than "
        "all decisions do (intervals above)"
        for over, more, n in runs
    )
    return Finding(
        value=sum(shares) / len(shares), unit="share of words", n=len(rows),
        n_of="words, counted in each run",
        verdict=at_most_in_part(verdict) if why else verdict,
        reason=f"run by run: {each}; {why or OTHERS}; no interval, as the words are all of the "
        "article's table",
    )  # fmt: skip


def claimed(over: int, more: int, n: int) -> str:
    """Verdict on "one expert had claimed these words" in one run.

    Args:
        over: Words of which it gets more than 80%.
        more: Words of which it gets more than of all decisions.
        n: Words in all.
    """
    if over >= MOST_WORDS * n:
        return HOLDS
    return IN_PART if 2 * more > n else FAILS


def _generalist(evidence: Evidence) -> Finding:
    """How many tokens either expert has above 80%, run by run."""
    needed = (
        "stage", "checkpoint", "labels", "n_tokens_tested", "n_over_80_expert_0",
        "n_over_80_expert_1",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "labelings", needed)
    words = evidence.saved.table(
        ANALYSIS, "article_words", ("stage", "checkpoint", "labels", "load", "article_printed")
    )
    words = words.dropna(subset=["labels", "article_printed"])  # printed: those of expert 1
    words = words.drop_duplicates("checkpoint")[["checkpoint", "labels", "load"]]
    rows, fitted = judging(table.merge(words, on=["checkpoint", "labels"]), MOE)
    runs = [
        (int(row["n_over_80_expert_0"]), int(row["n_over_80_expert_1"]))
        for row in rows.to_dict("records")
    ]
    if not runs or not all(zero + one for zero, one in runs):
        raise NotMeasured("no token here exceeds 80%, so neither expert is a specialist")
    ratios = [min(run) / max(run) for run in runs]
    verdict = one_generalist(runs)
    why = doubt(evidence, MOE, fitted=fitted)
    each = "; ".join(
        f"{zero} tokens prefer expert 0 above 80% and {one} prefer expert 1, which gets "
        f"{load:.0%} of all decisions"
        for (zero, one), load in zip(runs, rows["load"], strict=True)
    )
    return Finding(
        value=sum(ratios) / len(ratios),
        unit="ratio of numbers of tokens", n=int(rows["n_tokens_tested"].iloc[0]),
        n_of="tokens tested in each run",
        verdict=at_most_in_part(verdict) if why else verdict,
        reason=f"run by run: {each}; an expert that gets more of all decisions has more such "
        f"tokens for that alone; {why or OTHERS}; no interval of a mean of {len(runs)} run(s)",
    )  # fmt: skip


def one_generalist(runs: Sequence[tuple[int, int]]) -> str:
    """Verdict on "expert 0 barely specialised", from each run's tokens of expert 0 and expert 1."""
    return all_of([generalist(zero / one) if zero < one else FAILS for zero, one in runs])


def generalist(ratio: float) -> str:
    """Verdict on "one expert barely specialised", from its tokens over the other's."""
    return HOLDS if ratio <= BARELY else IN_PART if ratio <= RATHER else FAILS


CLAIMS: tuple[Claim[Evidence], ...] = (
    gain_claim("Experts pay", "A modest numerical improvement.", MOE),
    Claim(
        name="Experts specialise",
        quote="the experts had specialized […] purely from gradient descent on a language modeling "
        "objective",
        measurement=f"how much the token tells about the expert in every run and layer of {MOE}, "
        "beside shuffled decisions and random routers, and whether a gradient reaches the router",
        rule="holds if at every router it is more than with shuffled decisions and with routers "
        "that no training touched (q below 0.05 for both) and a gradient reaches it, in part if "
        "so at some, else it does not",
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
        "experts numbered alike in all runs, in the runs but the first, whose numbering was chosen "
        "to suit the article",
        rule="holds if four in five words do in every run, in part if so in some or if it gets "
        "more than half of them beyond its load (intervals above it), else it does not; in part at "
        "most where there is the first run only or experts cannot be matched",
        measure=_claimed_words,
    ),
    Claim(
        name="Expert 1 cares",
        quote="Expert 0 is the generalist. Expert 1 is the one that cares.",
        measurement=f"where feeling words go in every run and layer of {MOE}, against words of the "
        "same frequency, and of the same class too; a permutation test over words, and how many "
        "random routers part them as far",
        rule="holds if in all cases they go elsewhere (q below 0.05), farther than with random "
        "routers (q below 0.05) and to one same expert; in part if they do both in some, else it "
        "does not; in part at most from one run or where experts cannot be matched",
        measure=who_cares,
    ),
    Claim(
        name="Expert 0 is the generalist",
        quote="Expert 0 barely specialized at all — only five tokens preferred it above 80%",
        measurement=f"tokens that prefer expert 0 of {MOE} above 80%, beside those that prefer "
        "expert 1, in the runs but the first, whose numbering was chosen to suit the article; the "
        "value is the ratio of the smaller to the larger number",
        rule=f"holds if in every run expert 0 has the fewer with a ratio of {BARELY} or less, in "
        f"part if so in some or up to {RATHER}, else it does not; in part at most where there is "
        "the first run only or experts cannot be matched",
        measure=_generalist,
    ),
)
