"""How much a token, its neighbour or its place tells of the expert, beyond chance.

Mutual information in nats between the expert and a label, estimated from counts. The estimate is
biased upward by about (labels - 1)(experts - 1) / 2n (Miller 1955), more where the decisions of a
story resemble each other; the mean over exchanged stories is subtracted, which have the same bias.
The intervals leave out groups of stories; what is subtracted is taken as known in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.special import xlogy

from lt_interp.methods.moe_routing.contingency import group_totals, left_out_information_nats
from lt_interp.methods.moe_routing.decisions import NONE
from lt_interp.methods.moe_routing.exchange import Exchange
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.story_groups import ends
from lt_interp.methods.moe_routing.tally import (
    PAIR,
    POSITION,
    PREVIOUS,
    TOKEN,
    TOKEN_OF_PAIR,
    Tallied,
    tallied,
)

INFORMATION_DRAWS = 99
INFORMATION = {
    "layer": str, "quantity": str, "value_nats": float, "share_of_entropy": float,
    "null_mean": float, "corrected": float, "corrected_share_of_entropy": float, "low": float,
    "high": float, "p": float,
    "n_decisions": int, "n_draws": int,
}  # fmt: skip

ENTROPY = "entropy of the expert"
CONTEXT = "previous token, given the token"
RESIDUAL = "left open by the token"


def entropy_nats(counts: Int[np.ndarray, "... expert"]) -> Float[np.ndarray, "..."]:
    """Entropy of shares given as counts, over the last axis."""
    n = _over_experts(counts)
    return np.asarray(np.log(np.maximum(n, 1)) - _over_experts(_n_log_n(counts)) / np.maximum(n, 1))


def mutual_information_nats(
    counts: Int[np.ndarray, "*draw label expert"],
) -> Float[np.ndarray, "*draw"]:
    """Plug-in mutual information between label and expert.

    Args:
        counts: How often every label went to every expert; leading axes are separate tables.

    Example:
        >>> float(mutual_information_nats(np.array([[5, 0], [0, 5]])) / np.log(2))
        1.0
    """
    size = _over_experts(counts)
    n = size.sum(axis=-1)
    both = _over_experts(_n_log_n(counts)).sum(axis=-1) - _n_log_n(size).sum(axis=-1)
    information = both / n + entropy_nats(counts.sum(axis=-2))
    return np.asarray(np.maximum(information, 0.0))


def _over_experts(values: Shaped[np.ndarray, "... expert"]) -> Shaped[np.ndarray, "..."]:
    """Sums over the last axis; `sum` takes four times as long for an axis as short as that."""
    return np.asarray(np.einsum("...e->...", values))


def _n_log_n(counts: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """`n log n` of counts, the logarithm of each number taken once where there are many counts."""
    n = np.arange(counts.max(initial=0) + 1)
    return xlogy(n, n)[counts] if counts.size > n.size else np.asarray(xlogy(counts, counts))


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one label tells of the expert, uncorrected.

    Attributes:
        value_nats: Of all decisions that have the label.
        left_out: The same without each group of stories.
        n: Decisions that have the label.
    """

    value_nats: float
    left_out: Float[np.ndarray, " group"]
    n: int


def told_by(one: Tallied, quantity: str) -> Told:
    """What one of `TOKEN`, `PREVIOUS`, `POSITION` and `CONTEXT` tells of the expert.

    Args:
        one: A set of decisions.
        quantity: Which; what the previous token tells given the token is what the pair tells less
            what its token tells alone.
    """
    if quantity == CONTEXT:
        pair, alone = told_by(one, PAIR), told_by(one, TOKEN_OF_PAIR)
        return Told(value_nats=pair.value_nats - alone.value_nats,
                    left_out=pair.left_out - alone.left_out, n=pair.n)  # fmt: skip
    counts = one.tally.labels[quantity]
    label, group, sent = counts.table()
    sent = one.pool(sent)
    value, left_out = left_out_information_nats(label, group, sent, n_groups=counts.n_groups)
    return Told(value_nats=value, left_out=left_out, n=int(sent.sum()))


def left_out_entropies(one: Tallied) -> Float[np.ndarray, " group"]:
    """Entropy of the expert without each group of stories."""
    counts = one.tally.labels[TOKEN]
    _, group, sent = counts.table()
    of_group = group_totals(group, one.pool(sent), n_groups=counts.n_groups)
    everything = of_group.sum(axis=0)
    return entropy_nats(everything - of_group if len(of_group) > 1 else of_group)


def plain_rows(one: Tallied) -> list[dict[str, Any]]:
    """Every quantity without correction, so without an exchange: the value and its interval.

    Args:
        one: A set of decisions.
    """
    entropy, entropies = (
        float(entropy_nats(one.token_counts().sum(axis=0))),
        left_out_entropies(one),
    )
    told = {quantity: told_by(one, quantity) for quantity in (TOKEN, PREVIOUS, POSITION, CONTEXT)}
    told[RESIDUAL] = Told(value_nats=entropy - told[TOKEN].value_nats,
                          left_out=entropies - told[TOKEN].left_out, n=one.n)  # fmt: skip
    told[ENTROPY] = Told(value_nats=entropy, left_out=entropies, n=one.n)
    rows = []
    for quantity, found in told.items():
        low, high = ends(found.value_nats, found.left_out)
        rows.append({
            "layer": one.name, "quantity": quantity, "value_nats": found.value_nats,
            "share_of_entropy": _share(found.value_nats, entropy), "low": low, "high": high,
            "n_decisions": found.n,
        })  # fmt: skip
    return rows


def information_rows(
    routed: Routed, *, seed: int, draws: int = INFORMATION_DRAWS, one: Tallied | None = None
) -> list[dict[str, Any]]:
    """Every quantity of one set of decisions.

    What is exchanged: for token and previous token, the stories of a layer; for the previous token
    given the token, the stories of each token by itself, so that what the token tells stays; for
    the position, each row is turned in itself. `p` is the share of draws with as much information
    or more. `low` and `high` are about the corrected value, for the entropy about the value.

    Args:
        routed: A set of decisions.
        seed: Of the draws.
        draws: How many.
        one: What is counted of them, where that is known.
    """
    one = one or tallied(routed)
    rng = np.random.default_rng(seed)
    plain = {row["quantity"]: row for row in plain_rows(one)}
    entropy, entropies = plain[ENTROPY]["value_nats"], left_out_entropies(one)
    everything = np.arange(routed.n)
    inside = np.flatnonzero(routed.previous != NONE)
    pair = routed.token * routed.d_vocab + routed.previous
    by_token = routed.layer * routed.d_vocab + routed.token
    by_row = routed.layer * (int(routed.row.max()) + 1) + routed.row
    asked = [
        (TOKEN, everything, routed.token, (routed.layer, routed.story)),
        (PREVIOUS, inside, routed.previous, (routed.layer, routed.story)),
        (POSITION, everything, routed.position, (by_row, by_row)),
    ]
    rows: list[dict[str, Any]] = [{**plain[ENTROPY], "n_draws": 0}]
    for quantity, kept, label, blocks in asked:
        null = _exchanged(routed, kept, label, blocks, rng, draws)
        rows.append(_row(routed.name, quantity, told_by(one, quantity), null, entropy))
    rows.append(_residual(rows[1], entropy, entropies - told_by(one, TOKEN).left_out))
    if len(inside):
        null = _exchanged(routed, inside, pair, (by_token, routed.story), rng, draws)
        null = null - told_by(one, TOKEN_OF_PAIR).value_nats
        rows.append(_row(routed.name, CONTEXT, told_by(one, CONTEXT), null, entropy))
    return rows


def _exchanged(
    routed: Routed,
    kept: Int[np.ndarray, " m"],
    label: Int[np.ndarray, " n"],
    blocks: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]],
    rng: np.random.Generator,
    draws: int,
) -> Float[np.ndarray, " draw"]:
    """The information between label and expert after each exchange.

    Args:
        routed: A set of decisions.
        kept: The decisions that are looked at.
        label: Of every decision.
        blocks: Stratum and block of every decision, as `Exchange` takes them.
        rng: Source of chance.
        draws: How many exchanges.
    """
    if not len(kept):
        return np.zeros(draws)
    label = np.unique(label[kept], return_inverse=True)[1]
    exchange = Exchange(blocks[0][kept], blocks[1][kept])
    label, expert = label[exchange.order], routed.expert[kept][exchange.order]
    null = [
        float(mutual_information_nats(_table(label, expert[exchange.draw(rng)], routed.n_experts)))
        for _ in range(draws)
    ]
    return np.array(null)


def _table(
    label: Int[np.ndarray, " n"], expert: Int[np.ndarray, " n"], n_experts: int
) -> Int[np.ndarray, "label expert"]:
    """Counts of label and expert."""
    size = (int(label.max()) + 1) * n_experts
    return np.bincount(label * n_experts + expert, minlength=size).reshape(-1, n_experts)


def _row(
    layer: str, quantity: str, told: Told, null: Float[np.ndarray, " draw"], entropy: float
) -> dict[str, Any]:
    value, mean = told.value_nats, float(null.mean())
    low, high = ends(value - mean, told.left_out)
    # An exchange may give the same decisions, and the same sum up to rounding.
    as_much = int((null >= value - 1e-12).sum())
    return {
        "layer": layer, "quantity": quantity, "value_nats": value,
        "share_of_entropy": _share(value, entropy), "null_mean": mean, "corrected": value - mean,
        "corrected_share_of_entropy": _share(value - mean, entropy), "low": low, "high": high,
        "p": (1 + as_much) / (1 + len(null)), "n_decisions": told.n, "n_draws": len(null),
    }  # fmt: skip


def _residual(
    token: dict[str, Any], entropy: float, left_out: Float[np.ndarray, " group"]
) -> dict[str, Any]:
    """What of the expert's entropy the token leaves open; no test, so no `p`."""
    left, corrected = entropy - token["value_nats"], entropy - token["corrected"]
    low, high = ends(corrected, left_out)
    return {
        **token, "quantity": RESIDUAL, "value_nats": left,
        "share_of_entropy": _share(left, entropy),
        "null_mean": entropy - token["null_mean"], "corrected": corrected,
        "corrected_share_of_entropy": _share(corrected, entropy), "low": low, "high": high,
        "p": None,
    }  # fmt: skip


def _share(value: float, entropy: float) -> float | None:
    """Of the expert's entropy; none where one expert takes everything."""
    return value / entropy if entropy > 0 else None
