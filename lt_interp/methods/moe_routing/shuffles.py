"""Expert ids dealt out again: over the whole corpus, or within bins of positions.

Only the counts of each token are needed, and those of a shuffle are multivariate hypergeometric:
as many balls of each colour as the token has decisions, and as many drawn as the expert had.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from lt_interp.methods.moe_routing.routed import Routed

BIN_POSITIONS = 32


def shuffled_counts(
    routed: Routed, bins: Int[np.ndarray, " n"], *, draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "draw d_vocab expert"]:
    """Counts of token and expert after shuffling the expert ids within each bin.

    Args:
        routed: A set of decisions.
        bins: What the shuffle may not leave, for each decision.
        draws: How many shuffles.
        rng: Their source of chance.
    """
    counts = np.zeros((draws, routed.d_vocab, routed.n_experts), dtype=np.int64)
    for one in np.unique(bins):
        inside = bins == one
        tokens, balls = np.unique(routed.token[inside], return_counts=True)
        wanted = np.bincount(routed.expert[inside], minlength=routed.n_experts)
        counts[:, tokens] += _dealt(balls, wanted, draws, rng)
    return counts


def position_bins(routed: Routed) -> Int[np.ndarray, " n"]:
    """The bin of every decision's position, apart in every layer."""
    per_layer = int(routed.position.max()) // BIN_POSITIONS + 1
    return routed.layer * per_layer + routed.position // BIN_POSITIONS


def _dealt(
    balls: Int[np.ndarray, " token"],
    wanted: Int[np.ndarray, " expert"],
    draws: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "draw token expert"]:
    """Deal each expert its number of decisions, the last one what is left."""
    dealt = np.zeros((draws, len(balls), len(wanted)), dtype=np.int64)
    left = np.repeat(balls[None], draws, axis=0)
    for expert, number in enumerate(wanted[:-1]):
        if expert == 0:  # all draws have the same urn
            got = rng.multivariate_hypergeometric(balls, int(number), size=draws)
        else:
            got = np.stack([rng.multivariate_hypergeometric(urn, int(number)) for urn in left])
        dealt[..., expert] = got
        left = left - got
    dealt[..., -1] = left
    return dealt
