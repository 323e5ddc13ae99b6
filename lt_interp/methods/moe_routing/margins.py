"""How clearly a router decides: its two best logits, and the entropy of its probabilities."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

CLOSE_LOGITS = 0.1  # a difference below which the smaller weight noise may turn a decision
MARGINS = (
    "margin_logits",
    f"share_below_{CLOSE_LOGITS}_logits",
    "entropy_nats",
    "entropy_share_of_maximum",
)


def margins(
    margin_logits: Float[np.ndarray, " n"], entropy_nats: Float[np.ndarray, " n"], n_experts: int
) -> Float[np.ndarray, "n quantity"]:
    """The quantities `MARGINS` of each decision.

    Args:
        margin_logits: Logit of the chosen expert less the best other one.
        entropy_nats: Of the router's probabilities.
        n_experts: In the layer.
    """
    close = margin_logits < CLOSE_LOGITS
    relative = entropy_nats / math.log(n_experts)
    return np.stack([margin_logits, close, entropy_nats, relative], axis=1).astype(np.float64)
