"""Everything that the corpus's prefixes are asked of one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lt_interp.methods.position_blindness.behind import Behind
from lt_interp.methods.position_blindness.compare import Comparison, compare, kl_bound, predict
from lt_interp.methods.position_blindness.neighbour_swaps import swap_rows
from lt_interp.methods.position_blindness.orders import Orders
from lt_interp.methods.position_blindness.permutation_test import permutation_row
from lt_interp.methods.position_blindness.verdict import (
    expected_verdict,
    measured_window,
    window_verdict,
)
from lt_interp.methods.statistics import story_ratios, story_totals
from lt_interp.model.stage_model import StageModel

VERDICTS = {
    "weights": str,
    "verdict": str,
    "expected": str,
    "window_tokens": int,
    "sensitivity": float,
    "sensitivity_low": float,
    "sensitivity_high": float,
    "max_abs_difference_behind_window": float,
    "bound_behind_window": float,
    "n_prefixes_behind_window": int,
}


def examine(
    model: StageModel, orders: Orders, *, share: Callable[[int, int], None]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one model in `permutations`, `swaps` and `verdicts`, without `weights`.

    Args:
        model: Any stage.
        orders: What it reads.
        share: Called with how many comparisons are done, and how many there are.
    """
    prefixes, seed = orders.prefixes, orders.seed
    predictions = predict(model, prefixes)
    bound = predictions.bound
    found = []
    for done, variants in enumerate((orders.shuffled, orders.others, orders.swapped)):
        share(done, 3)
        found.append(compare(model, prefixes, variants, predictions))
    shuffled, other, swapped = found
    behind = Behind(model, orders)
    moves = swapped.max_abs_difference > bound
    window = measured_window(orders.distance, moves, behind.moves_nothing, longest=behind.longest)
    verdict = {
        "verdict": window_verdict(model.config, window),
        "expected": expected_verdict(model.config),
        "window_tokens": window if window != 1 else None,
        **(behind.row(window) if window else {}),
        **_sensitivity(shuffled, other, orders, bound),
    }
    about: dict[str, Any] = {"prefixes": prefixes, "bound": bound, "seed": seed}
    return {
        "permutations": [permutation_row(shuffled, other, **about)],
        "swaps": swap_rows(swapped, orders.distance, **about),
        "verdicts": [verdict],
    }


def _sensitivity(
    shuffled: Comparison, other: Comparison, orders: Orders, bound: float
) -> dict[str, float | None]:
    """Mean KL of the orders over mean KL of other stories' prefixes, on the prefixes with both.

    Missing where other stories' prefixes are within rounding too: the stage then reads nothing
    before the last token, and the ratio would be one of noise.
    """
    names = ("sensitivity", "sensitivity_low", "sensitivity_high")
    which = other.prefix
    if not len(which) or other.kl_nats.mean() <= kl_bound(bound):
        return dict.fromkeys(names)
    n = len(orders.prefixes)
    n_orders = np.bincount(shuffled.prefix, minlength=n)
    mean = np.bincount(shuffled.prefix, shuffled.kl_nats, minlength=n) / np.maximum(n_orders, 1)
    story = orders.prefixes.story[which]
    top, bottom = (story_totals(kl[:, None], story) for kl in (mean[which], other.kl_nats))
    ratio = story_ratios(top, bottom, seed=orders.seed)
    return dict(zip(names, ratio.at(0), strict=True))
