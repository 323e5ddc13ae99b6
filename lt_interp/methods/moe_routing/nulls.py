"""The routing beside routings that mean nothing, statistic by statistic."""

from __future__ import annotations

from typing import Any

import numpy as np

from lt_interp.methods.moe_routing.decisions import POOLED
from lt_interp.methods.moe_routing.other_routers import (
    RANDOM,
    TOKEN_ALONE,
    WITHOUT_CONTEXT,
    Found,
    OtherRouters,
)
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.summaries import common_tokens, summarise

NULLS = {
    "layer": str, "null": str, "statistic": str, "value": float, "null_mean": float,
    "null_low": float, "null_high": float, "p": float, "n_draws": int,
}  # fmt: skip


def null_rows(
    sets: list[Routed], layers: list[OtherRouters], *, least: int
) -> list[dict[str, Any]]:
    """Every statistic of `summaries` under every null model, and the agreement with no context.

    Args:
        sets: Layers apart and pooled.
        layers: What other routers make of each layer.
        least: Decisions that a token needs to count.
    """
    rows = []
    for one in sets:
        inside = layers if one.name == POOLED else [layers[int(one.name)]]
        common = common_tokens(one, least=least)
        actual = summarise(one.token_counts()[None], common)
        for null in inside[0].counts:
            counts = np.sum([layer.counts[null] for layer in inside], axis=0)
            rows += _rows(one.name, null, actual, summarise(counts, common))
        value = _mean([layer.agreement[WITHOUT_CONTEXT] for layer in inside])
        for null in (RANDOM, TOKEN_ALONE):
            rows += _rows(one.name, null, value, _mean([layer.agreement[null] for layer in inside]))
    return rows


def _mean(found: list[Found]) -> Found:
    """Over layers, which have equally many decisions."""
    return {key: np.mean([one[key] for one in found], axis=0) for key in found[0]}


def _rows(layer: str, null: str, actual: Found, found: Found) -> list[dict[str, Any]]:
    """One row a statistic; a single draw has a value but no spread."""
    rows = []
    for statistic, drawn in found.items():
        value, many = float(actual[statistic][0]), len(drawn) > 1
        low, high = np.quantile(drawn, [0.025, 0.975]) if many else (None, None)
        rows.append({
            "layer": layer, "null": null, "statistic": statistic, "value": value,
            "null_mean": float(drawn.mean()), "null_low": low, "null_high": high,
            "p": (1 + int((drawn >= value).sum())) / (1 + len(drawn)) if many else None,
            "n_draws": len(drawn),
        })  # fmt: skip
    return rows
