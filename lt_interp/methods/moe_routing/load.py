"""How much of the work each expert gets, and how clearly the router decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from lt_interp.methods.moe_routing.margins import MARGINS
from lt_interp.methods.moe_routing.tally import PAIR, Tallied, Tally
from lt_interp.methods.statistics import Interval, story_bootstrap

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


def load_rows(one: Tallied, *, seed: int) -> list[dict[str, Any]]:
    """The share of decisions that each expert gets.

    Args:
        one: A set of decisions.
        seed: Of the resampling of stories.
    """
    counts = one.story_counts()
    found = story_bootstrap(counts.astype(float), counts.sum(axis=1), seed=seed)
    return [
        {"layer": one.name, "expert": expert, **_interval(found, expert),
         "n_decisions": one.n, "n_stories": found.n_stories}
        for expert in range(one.n_experts)
    ]  # fmt: skip


def repetition_rows(tally: Tally, *, seed: int) -> list[dict[str, Any]]:
    """How often a token goes to the expert of the token before it, by layer and pooled.

    Chance is not one in the number of experts but the sum of the squared loads; and what the
    two tokens alone lead to expect is the mean over pairs of `sum_e p(e | token) p(e | previous)`.
    Both are those of each layer by itself, also where layers are pooled, since a pair never leaves
    its layer; layers have equally many pairs, so the mean over layers is that over pairs.

    Args:
        tally: Of all layers.
        seed: Of the resampling of stories.
    """
    n_pairs = int(tally.pairs.sum())
    if not n_pairs:
        return []
    by_chance = [float(np.square(one.loads()).sum()) for one in tally.sets()[: tally.n_layers]]
    from_tokens = _from_tokens(tally)
    rows = []
    for one in tally.sets():
        repeated = tally.repeated[:, one.layers].sum(axis=1, keepdims=True)
        pairs = tally.pairs * len(one.layers)
        found = story_bootstrap(repeated.astype(float), pairs, seed=seed)
        rows.append({
            "layer": one.name, **_interval(found, 0, "repeated_share"),
            "chance_sum_p_squared": float(np.mean([by_chance[layer] for layer in one.layers])),
            "expected_from_tokens": float(np.mean([from_tokens[layer] for layer in one.layers])),
            "n_pairs": n_pairs * len(one.layers), "n_stories": found.n_stories,
        })  # fmt: skip
    return rows


def margin_rows(tally: Tally, *, seed: int) -> list[dict[str, Any]]:
    """How far apart the router's two best logits are, and how undecided its probabilities.

    Args:
        tally: Of all layers.
        seed: Of the resampling of stories.
    """
    rows = []
    for one in tally.sets()[: tally.n_layers]:
        n_decisions = one.story_counts().sum(axis=1)
        found = story_bootstrap(tally.margins[:, one.layers[0]], n_decisions, seed=seed)
        rows += [
            {"layer": one.name, "quantity": quantity, **_interval(found, place, "value"),
             "n_decisions": one.n, "n_stories": found.n_stories}
            for place, quantity in enumerate(MARGINS)
        ]  # fmt: skip
    return rows


def _from_tokens(tally: Tally) -> list[float]:
    """Repetition of each layer if a decision depended on the token and its layer alone.

    A token before that is not counted has no shares and adds nothing.
    """
    pair, _, counts = tally.labels[PAIR].table()
    n = counts[:, : tally.n_experts].sum(axis=1)
    token, previous = np.divmod(pair, tally.d_vocab)
    expected = []
    for one in tally.sets()[: tally.n_layers]:
        sent = one.token_counts()
        shares = sent / np.maximum(sent.sum(axis=1, keepdims=True), 1)
        both = (shares[token] * shares[previous]).sum(axis=1)
        expected.append(float(n @ both) / int(tally.pairs.sum()))
    return expected


def _interval(found: Interval, place: int, name: str = "share") -> dict[str, float]:
    return {
        name: float(found.estimate[place]),
        "low": float(found.low[place]),
        "high": float(found.high[place]),
    }
