"""Two neighbouring tokens exchanged: how a stage's sensitivity falls off behind the last token."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from lt_interp.methods.position_blindness.compare import Comparison
from lt_interp.methods.position_blindness.prefixes import Prefixes
from lt_interp.methods.statistics import story_ratios, story_totals

# Every distance as far as the windows of the ladder reach, then wider apart.
DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
SWAPS = {
    "weights": str,
    "distance": int,
    "kl_nats": float,
    "low": float,
    "high": float,
    "max_abs_logit_difference": float,
    "bound": float,
    "n_prefixes": int,
    "n_stories": int,
}


def swap_rows(
    swapped: Comparison,
    distance: Int[np.ndarray, " swap"],
    *,
    prefixes: Prefixes,
    bound: float,
    seed: int,
) -> list[dict[str, Any]]:
    """The rows of `swaps`, one a distance, without `weights`.

    Args:
        swapped: One exchange a prefix and distance.
        distance: Of the nearer of the two from the last token.
        prefixes: What the exchanges were made in.
        bound: What rounding can do to a logit.
        seed: Of the resampling of stories.
    """
    distances = np.unique(distance)
    here = (distance[:, None] == distances).astype(float)
    story = prefixes.story[swapped.prefix]
    top, bottom = (story_totals(x, story) for x in (swapped.kl_nats[:, None] * here, here))
    means = story_ratios(top, bottom, seed=seed)
    rows = []
    for place, one in enumerate(distances.tolist()):
        kl, low, high = means.at(place)
        rows.append({
            "distance": one, "kl_nats": kl, "low": low, "high": high,
            "max_abs_logit_difference": float(swapped.max_abs_difference[distance == one].max()),
            "bound": bound, "n_prefixes": int((distance == one).sum()),
            "n_stories": len(np.unique(story[distance == one])),
        })  # fmt: skip
    return rows
