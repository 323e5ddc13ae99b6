"""A few numbers that say how specialised a routing is, for one routing or many draws of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control

from lt_interp.methods.moe_routing.by_token import RULE, token_stories
from lt_interp.methods.moe_routing.information import entropy_nats, mutual_information_nats
from lt_interp.methods.moe_routing.story_test import story_p_values
from lt_interp.methods.moe_routing.tally import Tallied
from lt_interp.methods.routing_names import (
    LARGEST_LOAD,
    N_DISCOVERIES,
    N_OVER,
    OVER_SHARE,
    TOKEN_SHARE,
)
from lt_interp.methods.significance import FDR


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonTokens:
    """The tokens with enough decisions, which are the same however they are routed.

    Attributes:
        ids: Token ids.
        effective_stories: What the decisions of each are worth.
    """

    ids: Int[np.ndarray, " token"]
    effective_stories: Float[np.ndarray, " token"]


def common_tokens(one: Tallied, *, least: int) -> CommonTokens:
    """The tokens of a set that have enough decisions."""
    found = token_stories(one, least=least)
    return CommonTokens(ids=found.ids, effective_stories=found.effective_stories)


def summarise(
    counts: Int[np.ndarray, "draw d_vocab expert"], common: CommonTokens
) -> dict[str, Float[np.ndarray, " draw"]]:
    """The numbers of every draw.

    The information is not corrected for its bias, which is nearly the same for every routing of
    the same tokens.

    Args:
        counts: How often every token id went to every expert.
        common: The tokens that the article's rule and the test look at.
    """
    totals = counts.sum(axis=1)
    entropy = entropy_nats(totals)
    loads = totals / totals.sum(axis=1, keepdims=True)
    sent = counts[:, common.ids]
    size = sent.sum(axis=2)
    shares = sent / np.maximum(size, 1)[..., None]
    best = shares.max(axis=2, initial=0.0)
    over = best > RULE
    return {
        LARGEST_LOAD: loads.max(axis=1),
        TOKEN_SHARE: mutual_information_nats(counts) / np.where(entropy > 0, entropy, np.inf),
        N_OVER: over.sum(axis=1).astype(float),
        OVER_SHARE: (size * over).sum(axis=1) / totals.sum(axis=1),
        N_DISCOVERIES: _discoveries(shares, loads, common),
    }


def _discoveries(
    shares: Float[np.ndarray, "draw token expert"],
    loads: Float[np.ndarray, "draw expert"],
    common: CommonTokens,
) -> Float[np.ndarray, " draw"]:
    """Tokens whose share differs from the load, the false ones held to 5% within each draw."""
    if not len(common.ids):
        return np.zeros(len(shares))
    favoured = shares.argmax(axis=2)
    share = np.take_along_axis(shares, favoured[..., None], axis=2)[..., 0]
    load = np.take_along_axis(loads, favoured, axis=1)
    n_eff = np.broadcast_to(common.effective_stories, share.shape)
    p = np.minimum(1.0, (shares.shape[2] - 1) * story_p_values(share, n_eff, load))
    return (false_discovery_control(p, axis=1) <= FDR).sum(axis=1).astype(float)
