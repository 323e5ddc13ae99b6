"""How much a token, its neighbour or its place tells of the expert, beyond chance.

Mutual information in nats between the expert and a label, estimated from counts. The estimate is
biased upward by about (labels - 1)(experts - 1) / 2n (Miller 1955), more where the decisions of a
story resemble each other; the mean over exchanged stories is subtracted, which have the same bias.
The intervals leave out groups of stories; what is subtracted is taken as known in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.special import xlogy

from lt_interp.methods.moe_routing.decisions import NONE
from lt_interp.methods.moe_routing.exchange import Exchange
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.story_groups import ends, left_out_counts

INFORMATION_DRAWS = 99
INFORMATION = {
    "layer": str, "quantity": str, "value_nats": float, "share_of_entropy": float,
    "null_mean": float, "corrected": float, "corrected_share_of_entropy": float, "low": float,
    "high": float, "p": float,
    "n_decisions": int, "n_draws": int,
}  # fmt: skip

ENTROPY = "entropy of the expert"
TOKEN = "token"
PREVIOUS = "previous token"
POSITION = "position"
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


def information_rows(
    routed: Routed, *, seed: int, draws: int = INFORMATION_DRAWS
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
    """
    rng = np.random.default_rng(seed)
    entropy = float(entropy_nats(np.bincount(routed.expert, minlength=routed.n_experts)))
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
    entropies = entropy_nats(_left_out(routed, everything, everything * 0).sum(axis=1))
    low, high = ends(entropy, entropies)
    rows: list[dict[str, Any]] = [
        {"layer": routed.name, "quantity": ENTROPY, "value_nats": entropy,
         "share_of_entropy": _share(entropy, entropy), "low": low, "high": high,
         "n_decisions": routed.n, "n_draws": 0}
    ]  # fmt: skip
    for quantity, kept, label, blocks in asked:
        found, null = _against_exchanges(routed, kept, label, blocks, rng, draws)
        left_out = _left_out_information(routed, kept, label)
        rows.append(_row(routed, quantity, found, null, entropy, len(kept), left_out))
    tokens = _left_out_information(routed, everything, routed.token)
    rows.append(_residual(rows[1], entropy, entropies - tokens))
    if len(inside):
        alone = float(mutual_information_nats(_table(routed.token[inside], routed.expert[inside],
                                                     routed.n_experts)))  # fmt: skip
        found, null = _against_exchanges(routed, inside, pair, (by_token, routed.story), rng, draws)
        left_out = _left_out_information(routed, inside, pair)
        left_out = left_out - _left_out_information(routed, inside, routed.token)
        found, null = found - alone, null - alone
        rows.append(_row(routed, CONTEXT, found, null, entropy, len(inside), left_out))
    return rows


def _against_exchanges(
    routed: Routed,
    kept: Int[np.ndarray, " m"],
    label: Int[np.ndarray, " n"],
    blocks: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]],
    rng: np.random.Generator,
    draws: int,
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """The information between label and expert, and that after each exchange.

    Args:
        routed: A set of decisions.
        kept: The decisions that are looked at.
        label: Of every decision.
        blocks: Stratum and block of every decision, as `Exchange` takes them.
        rng: Source of chance.
        draws: How many exchanges.
    """
    if not len(kept):
        return 0.0, np.zeros(draws)
    label = np.unique(label[kept], return_inverse=True)[1]
    exchange = Exchange(blocks[0][kept], blocks[1][kept])
    label, expert = label[exchange.order], routed.expert[kept][exchange.order]
    null = [
        float(mutual_information_nats(_table(label, expert[exchange.draw(rng)], routed.n_experts)))
        for _ in range(draws)
    ]
    return float(mutual_information_nats(_table(label, expert, routed.n_experts))), np.array(null)


def _left_out_information(
    routed: Routed, kept: Int[np.ndarray, " m"], label: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " group"]:
    """The information between label and expert without each group of stories."""
    if not len(kept):
        return np.zeros(1)
    return mutual_information_nats(_left_out(routed, kept, label))


def _left_out(
    routed: Routed, kept: Int[np.ndarray, " m"], label: Int[np.ndarray, " n"]
) -> Int[np.ndarray, "group label expert"]:
    """Counts of label and expert of the decisions that are looked at, without each group.

    With a single group, which leaves nothing to count, all is counted.
    """
    labels, place = np.unique(label[kept], return_inverse=True)
    counts = left_out_counts(routed.story[kept], place, routed.expert[kept],
                             n_labels=len(labels), n_experts=routed.n_experts)  # fmt: skip
    return counts if len(counts) > 1 else counts + _table(place, routed.expert[kept],
                                                          routed.n_experts)  # fmt: skip


def _table(
    label: Int[np.ndarray, " n"], expert: Int[np.ndarray, " n"], n_experts: int
) -> Int[np.ndarray, "label expert"]:
    """Counts of label and expert."""
    size = (int(label.max()) + 1) * n_experts
    return np.bincount(label * n_experts + expert, minlength=size).reshape(-1, n_experts)


def _row(
    routed: Routed, quantity: str, value: float, null: Float[np.ndarray, " draw"], entropy: float,
    n: int, left_out: Float[np.ndarray, " group"],
) -> dict[str, Any]:  # fmt: skip
    mean = float(null.mean())
    low, high = ends(value - mean, left_out)
    # An exchange may give the same decisions, and the same sum up to rounding.
    as_much = int((null >= value - 1e-12).sum())
    return {
        "layer": routed.name, "quantity": quantity, "value_nats": value,
        "share_of_entropy": _share(value, entropy), "null_mean": mean, "corrected": value - mean,
        "corrected_share_of_entropy": _share(value - mean, entropy), "low": low, "high": high,
        "p": (1 + as_much) / (1 + len(null)), "n_decisions": n, "n_draws": len(null),
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
