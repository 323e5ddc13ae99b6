"""The article's claim that its experts divided the world into story and structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import permutation_test

from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.runs import ANALYSIS
from lt_interp.methods.article.saved import numbers, one_row
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.routing_names import POOLED
from lt_interp.methods.significance import FDR, false_discovery_q
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, all_of, at_most_in_part

MOE = "10_moe"
STORY = ("name", "verb", "noun", "adjective")
STRUCTURE = ("function word", "punctuation")
PERMUTATIONS = 9_999
FEWEST = 5  # tokens of either kind


def _divided(evidence: Evidence) -> Finding:
    """Where common story words and common words of structure go, in every run and layer."""
    needed = ("stage", "checkpoint", "layer", "token", "token_id", "expert", "share")
    table = evidence.saved.table(ANALYSIS, "tokens", needed)
    table = table[(table["stage"] == MOE) & (table["layer"].astype(str) != POOLED)]
    if table.empty:
        raise NotMeasured("too few common words were routed here")
    cases = pd.DataFrame(
        [_case(evidence, rows) for _, rows in table.groupby(["checkpoint", "layer"], sort=False)]
    )
    q = false_discovery_q(cases["p"].to_numpy(float))
    verdicts = [
        division(story, structure, found, load)
        for story, structure, found, load in zip(
            cases["story"], cases["structure"], q, cases["load"], strict=True
        )
    ]
    differences = cases["story"] - cases["structure"]
    widest = int(differences.abs().idxmax())
    return Finding(
        value=float(differences[widest]), unit="difference of shares", n=int(cases["n"].sum()),
        n_of="tokens, each counted in every run and layer",
        verdict=at_most_in_part(all_of(verdicts)),
        reason=f"the two kinds lie on opposite sides of the expert's load in "
        f"{verdicts.count(HOLDS)} of {len(cases)} runs and layers, differ (q below {FDR}) in "
        f"{int((q < FDR).sum())}; the most, {cases['story'][widest]:.0%} of story words and "
        f"{cases['structure'][widest]:.0%} of structure to one expert with "
        f"{cases['load'][widest]:.0%} of all decisions; in part at most, as nobody measured how "
        "far random routers part the two kinds; no interval, as the test permutes words",
    )  # fmt: skip


def _case(evidence: Evidence, rows: pd.DataFrame) -> dict[str, float]:
    """One layer of one run: mean shares of expert 1, its load, and p of equal shares."""
    checkpoint, layer = rows[["checkpoint", "layer"]].iloc[0]
    loads = evidence.saved.table(
        ANALYSIS, "load", ("stage", "checkpoint", "layer", "expert", "share")
    )
    loads = loads.assign(layer=loads["layer"].astype(str))
    load = one_row(loads, checkpoint=checkpoint, layer=str(layer), expert=1)
    story, structure = layer_shares(rows, evidence.classes)
    if min(len(story), len(structure)) < FEWEST:
        raise NotMeasured("too few common words were routed here")
    return {
        "story": float(story.mean()), "structure": float(structure.mean()),
        "load": numbers(load, "share")[0], "n": len(story) + len(structure),
        "p": difference_p(story, structure, seed=evidence.seed),
    }  # fmt: skip


def layer_shares(
    rows: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[Float[np.ndarray, " story"], Float[np.ndarray, " structure"]]:
    """The share that expert 1 of two gets of each story word and of each word of structure.

    Pronouns and the function words that open a sentence are of neither kind: the article has "She",
    "Her", "But", "So" and "When" on the side of the story.

    Args:
        rows: `token`, `token_id`, the `expert` that it prefers and the `share` that it gets.
        classes: The class of every token id.
    """
    share = rows["share"].where(rows["expert"] == 1, 1 - rows["share"]).to_numpy(float)
    kind = np.array([classes[int(token)] for token in rows["token_id"]])
    opens = rows["token"].astype(str).str.strip().str[:1].str.isupper().to_numpy(bool)
    return share[np.isin(kind, STORY)], share[np.isin(kind, STRUCTURE) & ~opens]


def difference_p(
    story: Float[np.ndarray, " story"], structure: Float[np.ndarray, " structure"], *, seed: int
) -> float:
    """Two-sided p of equal means, by permuting which words are of which kind."""

    def means(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
        return a.mean(axis=axis) - b.mean(axis=axis)

    rng = np.random.default_rng(seed)
    found = permutation_test((story, structure), means, n_resamples=PERMUTATIONS, rng=rng)
    return float(found.pvalue)


def division(story: float, structure: float, q: float, load: float) -> str:
    """Verdict on one layer.

    Args:
        story: Mean share of story words that one of two experts gets.
        structure: The same of words of structure.
        q: Of equal shares.
        load: That expert's share of all decisions.
    """
    if q >= FDR:
        return FAILS
    return HOLDS if (story - load) * (structure - load) < 0 else IN_PART


CLAIMS: tuple[Claim[Evidence], ...] = (
    Claim(
        name="Story and structure",
        quote="had spontaneously divided the world into story and structure",
        measurement=f"share of common story words ({', '.join(STORY)}) and of words of structure "
        f"({', '.join(STRUCTURE)}, but for those that open a sentence) that one expert of {MOE} "
        "gets, in every run and layer; a permutation test over words",
        rule="holds in part if their shares differ in some run and layer (q below 0.05), else it "
        "does not; could hold only beside random routers, which were not asked",
        measure=_divided,
    ),
)
