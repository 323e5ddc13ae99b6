"""The permutation test of one model: what shuffling all but the last token does to a prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from lt_interp.methods.position_blindness.compare import Comparison, kl_bound
from lt_interp.methods.position_blindness.prefixes import Prefixes
from lt_interp.methods.statistics import story_means

PERMUTATIONS = {
    "weights": str,
    "n_prefixes": int,
    "n_permutations": int,
    "n_stories": int,
    "n_excluded": int,
    "max_abs_logit_difference": float,
    "bound": float,
    "within_rounding": bool,
    "kl_nats": float,
    "kl_low": float,
    "kl_high": float,
    "kl_bound_nats": float,
    "top1_agreement": float,
    "top1_low": float,
    "top1_high": float,
    "loss_change_nats": float,
    "loss_change_low": float,
    "loss_change_high": float,
    "reference_kl_nats": float,
    "reference_low": float,
    "reference_high": float,
    "n_reference": int,
}


def permutation_row(
    shuffled: Comparison, other: Comparison, *, prefixes: Prefixes, bound: float, seed: int
) -> dict[str, Any]:
    """The row of `permutations`, without `weights`.

    Args:
        shuffled: Other orders, each prefix with the same number of them.
        other: Other stories' prefixes with the same last token; may be empty.
        prefixes: What both replace.
        bound: What rounding can do to a logit.
        seed: Of the resampling of stories.
    """
    story = prefixes.story[shuffled.prefix]
    measures = [shuffled.kl_nats, shuffled.same_top, shuffled.loss_change_nats]
    means = story_means(np.stack(measures, axis=1).astype(float), story, seed=seed)
    largest = float(shuffled.max_abs_difference.max())
    row: dict[str, Any] = {
        "n_prefixes": len(np.unique(shuffled.prefix)),
        "n_permutations": len(shuffled.prefix),
        "n_stories": means.n_stories,
        "n_excluded": prefixes.n_excluded,
        "max_abs_logit_difference": largest,
        "bound": bound,
        "within_rounding": largest <= bound,
        "kl_bound_nats": kl_bound(bound),
        "n_reference": len(other.prefix),
    }
    row["kl_nats"], row["kl_low"], row["kl_high"] = means.at(0)
    row["top1_agreement"], row["top1_low"], row["top1_high"] = means.at(1)
    row["loss_change_nats"], row["loss_change_low"], row["loss_change_high"] = means.at(2)
    if len(other.prefix):
        kl = story_means(other.kl_nats[:, None], prefixes.story[other.prefix], seed=seed)
        row["reference_kl_nats"], row["reference_low"], row["reference_high"] = kl.at(0)
    return row
