"""How much of the work each expert gets, and how clearly the router decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lt_interp.methods.moe_routing.decisions import NONE, Decisions
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.statistics import Interval, story_means

LOAD = {
    "layer": str, "expert": int, "share": float, "low": float, "high": float,
    "n_decisions": int, "n_stories": int,
}  # fmt: skip
REPETITION = {
    "layer": str, "repeated_share": float, "low": float, "high": float,
    "chance_sum_p_squared": float, "expected_from_tokens": float, "n_pairs": int, "n_stories": int,
}  # fmt: skip
MARGIN = {
    "layer": str, "quantity": str, "value": float, "low": float, "high": float,
    "n_decisions": int, "n_stories": int,
}  # fmt: skip
CLOSE_LOGITS = 0.1  # a difference below which the smaller weight noise may turn a decision


def load_rows(routed: Routed, *, seed: int) -> list[dict[str, Any]]:
    """The share of decisions that each expert gets.

    Args:
        routed: A set of decisions.
        seed: Of the resampling of stories.
    """
    chosen = np.eye(routed.n_experts)[routed.expert]
    found = story_means(chosen, routed.story, seed=seed)
    return [
        {"layer": routed.name, "expert": expert, **_interval(found, expert),
         "n_decisions": routed.n, "n_stories": found.n_stories}
        for expert in range(routed.n_experts)
    ]  # fmt: skip


def repetition_rows(decisions: Decisions, sets: list[Routed], *, seed: int) -> list[dict[str, Any]]:
    """How often a token goes to the expert of the token before it.

    Chance is not one in the number of experts but the sum of the squared loads; and what the
    two tokens alone lead to expect is the mean over pairs of `sum_e p(e | token) p(e | previous)`.
    Both are those of each layer by itself, also where layers are pooled, since a pair never leaves
    its layer; layers have equally many pairs, so the mean over layers is that over pairs.

    Args:
        decisions: That the sets were made of.
        sets: The sets to describe; pairs are always within one layer.
        seed: Of the resampling of stories.
    """
    has = np.flatnonzero(decisions.before != NONE)
    rows = []
    for routed in sets:
        place = (np.arange(0, routed.n, len(decisions.token))[:, None] + has).ravel()
        before = place - np.tile(has - decisions.before[has], routed.n // len(decisions.token))
        if not len(place):
            continue
        same = (routed.expert[place] == routed.expert[before]).astype(float)
        found = story_means(same[:, None], routed.story[place], seed=seed)
        rows.append({
            "layer": routed.name, "repeated_share": float(found.estimate[0]),
            "low": float(found.low[0]), "high": float(found.high[0]),
            "chance_sum_p_squared": _by_chance(routed),
            "expected_from_tokens": _from_tokens(routed, place, before),
            "n_pairs": len(place), "n_stories": found.n_stories,
        })  # fmt: skip
    return rows


def margin_rows(decisions: Decisions, *, seed: int) -> list[dict[str, Any]]:
    """How far apart the router's two best logits are, and how undecided its probabilities.

    Args:
        decisions: Of all layers.
        seed: Of the resampling of stories.
    """
    rows = []
    for layer in range(decisions.n_layers):
        margin, entropy = decisions.margin_logits[layer], decisions.entropy_nats[layer]
        values = {
            "margin_logits": margin,
            f"share_below_{CLOSE_LOGITS}_logits": margin < CLOSE_LOGITS,
            "entropy_nats": entropy,
            "entropy_share_of_maximum": entropy / math.log(decisions.n_experts),
        }
        stacked = np.stack([value.astype(float) for value in values.values()], axis=1)
        found = story_means(stacked, decisions.story, seed=seed)
        rows += [
            {"layer": str(layer), "quantity": quantity, **_interval(found, place, "value"),
             "n_decisions": len(margin), "n_stories": found.n_stories}
            for place, quantity in enumerate(values)
        ]  # fmt: skip
    return rows


def _by_chance(routed: Routed) -> float:
    """Repetition if decisions depended on nothing, within each layer."""
    layer = np.unique(routed.layer, return_inverse=True)[1]
    counts = np.bincount(layer * routed.n_experts + routed.expert,
                         minlength=(int(layer.max()) + 1) * routed.n_experts)  # fmt: skip
    counts = counts.reshape(-1, routed.n_experts)
    loads = counts / counts.sum(axis=1, keepdims=True)
    return float(np.square(loads).sum(axis=1).mean())


def _from_tokens(routed: Routed, place: np.ndarray, before: np.ndarray) -> float:
    """Repetition if a decision depended on the token and its layer alone."""
    layer = np.unique(routed.layer, return_inverse=True)[1]
    label = layer * routed.d_vocab + routed.token
    size = (int(layer.max()) + 1) * routed.d_vocab * routed.n_experts
    counts = np.bincount(label * routed.n_experts + routed.expert, minlength=size)
    counts = counts.reshape(-1, routed.n_experts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    both = shares[label[place]] * shares[label[before]]
    return float(both.sum(axis=1).mean())


def _interval(found: Interval, place: int, name: str = "share") -> dict[str, float]:
    return {
        name: float(found.estimate[place]),
        "low": float(found.low[place]),
        "high": float(found.high[place]),
    }
