"""The routing beside routings that mean nothing, statistic by statistic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.information import entropy_nats, mutual_information_nats
from lt_interp.methods.moe_routing.other_routers import (
    Found,
    OtherRouters,
)
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.story_groups import ends, left_out_counts
from lt_interp.methods.moe_routing.streamed import token_share_left_out
from lt_interp.methods.moe_routing.summaries import common_tokens, summarise
from lt_interp.methods.moe_routing.tally import Tallied
from lt_interp.methods.routing_names import (
    POOLED,
    RANDOM,
    TOKEN_ALONE,
    TOKEN_SHARE,
    WITHOUT_CONTEXT,
)
from lt_interp.methods.significance import false_discovery_q

NULLS = {
    "layer": str, "null": str, "statistic": str, "value": float, "null_mean": float,
    "null_low": float, "null_high": float, "p": float, "p_two_sided": float, "n_draws": int,
    "low": float, "high": float, "difference_low": float, "difference_high": float,
}  # fmt: skip


def null_rows(
    sets: list[Routed], counted: list[Tallied], layers: list[OtherRouters], *, least: int
) -> list[dict[str, Any]]:
    """Every statistic of `summaries` under every null model, and the agreement with no context.

    `low` and `high` are about the value of the stage's own router, `difference_low` and
    `difference_high` about its difference to the embeddings alone, the same stories left out of
    both.

    Args:
        sets: Layers apart and pooled.
        counted: What is counted of each set.
        layers: What other routers make of each layer.
        least: Decisions that a token needs to count.
    """
    rows = []
    for one, tallied in zip(sets, counted, strict=True):
        inside = layers if one.name == POOLED else [layers[int(one.name)]]
        common = common_tokens(tallied, least=least)
        actual = summarise(tallied.token_counts()[None], common)
        own = token_share_left_out(tallied)
        alone = _token_share(_left_out(one, np.concatenate([x.without_context for x in inside])))
        for null in inside[0].counts:
            counts = np.sum([layer.counts[null] for layer in inside], axis=0)
            of_null = _rows(one.name, null, actual, summarise(counts, common))
            for row in of_null:
                if row["statistic"] == TOKEN_SHARE:
                    row["low"], row["high"] = ends(row["value"], own)
                if row["statistic"] == TOKEN_SHARE and null == WITHOUT_CONTEXT:
                    row["difference_low"], row["difference_high"] = ends(
                        row["value"] - row["null_mean"], own - alone
                    )
            rows += of_null
        value = _mean([layer.agreement[WITHOUT_CONTEXT] for layer in inside])
        for null in (RANDOM, TOKEN_ALONE):
            rows += _rows(one.name, null, value, _mean([layer.agreement[null] for layer in inside]))
    return rows


def with_null_q(nulls: pd.DataFrame) -> pd.DataFrame:
    """Benjamini-Hochberg over layers and runs of the stage's own router beside random ones.

    Args:
        nulls: The table of all models; each statistic is a family, its pooled sets one of their
            own. Other null models get no `q`.
    """
    q = pd.Series(np.nan, index=nulls.index)
    random = nulls[nulls["null"] == RANDOM]
    pooled = random["layer"] == POOLED
    for _, some in random.groupby(["statistic", pooled], sort=False):
        q[some.index] = false_discovery_q(some["p_two_sided"].to_numpy(dtype=np.float64))
    return nulls.assign(q=q)


def _left_out(
    one: Routed, expert: Int[np.ndarray, " n"]
) -> Int[np.ndarray, "group d_vocab expert"]:
    """Counts of token and expert without each group of stories."""
    return left_out_counts(
        one.story, one.token, expert, n_labels=one.d_vocab, n_experts=one.n_experts
    )


def _token_share(counts: Int[np.ndarray, "group d_vocab expert"]) -> Float[np.ndarray, " group"]:
    """Share of the expert's entropy that the token tells; a single group has none."""
    if len(counts) == 1:
        return np.zeros(1)
    entropy = entropy_nats(counts.sum(axis=1))
    return mutual_information_nats(counts) / np.where(entropy > 0, entropy, np.inf)


def _mean(found: list[Found]) -> Found:
    """Over layers, which have equally many decisions."""
    return {key: np.mean([one[key] for one in found], axis=0) for key in found[0]}


def _rows(layer: str, null: str, actual: Found, found: Found) -> list[dict[str, Any]]:
    """One row a statistic; a single draw has a value but no spread."""
    rows = []
    for statistic, drawn in found.items():
        value, many = float(actual[statistic][0]), len(drawn) > 1
        low, high = np.quantile(drawn, [0.025, 0.975]) if many else (None, None)
        above, below = (1 + int(side.sum()) for side in (drawn >= value, drawn <= value))
        rows.append({
            "layer": layer, "null": null, "statistic": statistic, "value": value,
            "null_mean": float(drawn.mean()), "null_low": low, "null_high": high,
            "p": above / (1 + len(drawn)) if many else None,
            "p_two_sided": min(1.0, 2 * min(above, below) / (1 + len(drawn))) if many else None,
            "n_draws": len(drawn),
        })  # fmt: skip
    return rows
