"""Routers that no gradient ever touched, put in the place of the stage's own.

Between two experts a router without bias is a hyperplane through the origin. A fresh one is drawn
from the rule that initialises the routers here, N(0, 1 / d_model) a weight; its scale does not
matter to which expert wins, so any rule with independent weights of one variance gives nearly the
same planes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

CHUNK_DRAWS = 50


def random_routers(
    d_model: int, n_experts: int, draws: int, *, seed: int
) -> Float[np.ndarray, "draw expert d_model"]:
    """Weights of fresh routers.

    Args:
        d_model: Width of what a router reads.
        n_experts: Its outputs.
        draws: How many routers.
        seed: Of the weights.
    """
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((draws, n_experts, d_model)) / np.sqrt(d_model)
    return weights.astype(np.float32)


def decided(
    inputs: Float[np.ndarray, "n d_model"], routers: Float[np.ndarray, "draw expert d_model"]
) -> Iterator[Int[np.ndarray, "n draw"]]:
    """The expert that each router sends each input to, some routers at a time."""
    for start in range(0, len(routers), CHUNK_DRAWS):
        some = routers[start : start + CHUNK_DRAWS]
        if some.shape[1] == 2:  # the sign of one product instead of the larger of two
            yield (inputs @ (some[:, 1] - some[:, 0]).T > 0).astype(np.int8)
        else:
            logits = inputs @ some.reshape(-1, inputs.shape[1]).T
            yield logits.reshape(len(inputs), *some.shape[:2]).argmax(axis=2).astype(np.int8)


def counted(
    tokens: Int[np.ndarray, " n"],
    experts: Int[np.ndarray, "n draw"],
    *,
    d_vocab: int,
    n_experts: int,
) -> Int[np.ndarray, "draw d_vocab expert"]:
    """How often each draw sends every token id to every expert."""
    n = len(tokens)
    by_token = csr_array((np.ones(n, np.float32), (tokens, np.arange(n))), shape=(d_vocab, n))
    counts = np.empty((n_experts, d_vocab, experts.shape[1]), dtype=np.int64)
    for expert in range(n_experts - 1):
        counts[expert] = by_token @ (experts == expert).astype(np.float32)
    # The last one gets what is left: one product fewer, which of two experts is half of them.
    counts[-1] = np.bincount(tokens, minlength=d_vocab)[:, None] - counts[:-1].sum(axis=0)
    return counts.transpose(2, 1, 0)
