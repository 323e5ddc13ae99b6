"""The article's claim that its experts divided the world into story and structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import permutation_test

from lt_interp.methods.article.evidence import Claim, Evidence
from lt_interp.methods.article.saved import NotMeasured
from lt_interp.methods.article.verdict import FAILS, HOLDS, IN_PART, Finding, all_of

ANALYSIS, MOE, POOLED = "moe_routing", "10_moe", "pooled"
STORY = ("name", "verb", "noun", "adjective")
STRUCTURE = ("function word", "punctuation", "pronoun")
LEVEL, HALF = 0.05, 0.5
PERMUTATIONS = 9_999
FEWEST = 5  # tokens of either kind


def _divided(evidence: Evidence) -> Finding:
    """Where common story words and common words of structure go, layer by layer."""
    needed = ("stage", "checkpoint", "layer", "token_id", "expert", "share")
    table = evidence.saved.table(ANALYSIS, "tokens", needed)
    table = table[(table["stage"] == MOE) & (table["layer"] != POOLED)]
    table = table[table["checkpoint"] == table["checkpoint"].min()] if len(table) else table
    layers = {
        str(layer): layer_shares(rows, evidence.classes) for layer, rows in table.groupby("layer")
    }
    if not layers or min(len(kind) for kinds in layers.values() for kind in kinds) < FEWEST:
        raise NotMeasured("too few common words were routed here")
    found = {
        layer: (float(story.mean()), float(structure.mean()), difference_p(story, structure))
        for layer, (story, structure) in layers.items()
    }
    widest = max(found.values(), key=lambda one: abs(one[0] - one[1]))
    each = "; ".join(
        f"layer {layer}, {story:.0%} of story words and {structure:.0%} of structure to expert 1 "
        f"(p {p:.4f})"
        for layer, (story, structure, p) in found.items()
    )
    return Finding(
        value=float(widest[0] - widest[1]), unit="difference of shares",
        n=sum(len(kind) for kinds in layers.values() for kind in kinds),
        n_of="tokens, each counted in every layer",
        verdict=all_of([division(*one) for one in found.values()]), reason=each,
    )  # fmt: skip


def layer_shares(
    rows: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[Float[np.ndarray, " story"], Float[np.ndarray, " structure"]]:
    """The share that expert 1 of two gets of each story word and of each word of structure.

    Args:
        rows: `token_id`, the `expert` that a token prefers and the `share` that it gets.
        classes: The class of every token id.
    """
    share = rows["share"].where(rows["expert"] == 1, 1 - rows["share"]).to_numpy(float)
    kind = np.array([classes[int(token)] for token in rows["token_id"]])
    return share[np.isin(kind, STORY)], share[np.isin(kind, STRUCTURE)]


def difference_p(
    story: Float[np.ndarray, " story"], structure: Float[np.ndarray, " structure"]
) -> float:
    """Two-sided p of equal means, by permuting which words are of which kind."""

    def means(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
        return a.mean(axis=axis) - b.mean(axis=axis)

    rng = np.random.default_rng(0)
    found = permutation_test((story, structure), means, n_resamples=PERMUTATIONS, rng=rng)
    return float(found.pvalue)


def division(story: float, structure: float, p: float) -> str:
    """Verdict on one layer.

    Args:
        story: Mean share of story words that one of two experts gets.
        structure: The same of words of structure.
        p: Of equal shares.
    """
    if p >= LEVEL:
        return FAILS
    return HOLDS if (story - HALF) * (structure - HALF) < 0 else IN_PART


CLAIMS = (
    Claim(
        name="Story and structure",
        quote="had spontaneously divided the world into story and structure",
        measurement=f"share of common story words ({', '.join(STORY)}) and of words of structure "
        f"({', '.join(STRUCTURE)}) that one expert of {MOE} gets, layer by layer; a permutation "
        "test over words",
        rule="holds if in every layer one kind goes mostly to one expert and the other kind to the "
        "other (p below 0.05), in part if their shares differ in some layer, else it does not",
        measure=_divided,
    ),
)
