"""Loss, rank and divergence of many readings over a large vocabulary, never holding all logits.

Logits are made for some positions and some token ids at a time. What runs over the whole
vocabulary (the normaliser, the rank, the expectation inside a divergence) is carried from one
piece of it to the next, the way a streaming softmax does (Milakov and Gimelshein, arXiv
1805.02867).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CELLS = 1_000_000  # logits held at once, three times over: 12 MB in float32
VOCAB = 8192  # token ids read at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout:
    """What each point says of the true next token.

    Attributes:
        loss_nats: Minus the log of its probability.
        rank: How many tokens have a logit as large or larger, itself included: 1 for the likeliest
            alone. Equal logits give no token a rank that it has not earned.
        kl_to_final_nats: KL(last point || this point): what is lost by taking this point's
            distribution for the last one's. 0 at the last.
    """

    loss_nats: Float[Tensor, "point n"]
    rank: Int[Tensor, "point n"]
    kl_to_final_nats: Float[Tensor, "point n"]


@torch.no_grad()
def read(
    vectors: Float[Tensor, "point n d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    targets: Int[Tensor, " n"],
    *,
    cells: int = CELLS,
    vocab: int = VOCAB,
) -> Readout:
    """Read vectors through the unembedding.

    Args:
        vectors: What the unembedding is given at each point, the model's own end last.
        W_U: Unembedding weights.
        b_U: Unembedding bias.
        targets: The true next tokens.
        cells: Logits held at once.
        vocab: Token ids read at once.
    """
    size = max(1, cells // min(vocab, W_U.shape[1]))
    parts = [
        _read_positions(vectors[:, start : start + size], W_U, b_U, targets[start : start + size],
                        vocab)
        for start in range(0, len(targets), size)
    ]  # fmt: skip
    loss, rank, kl = (torch.cat(part, dim=1) for part in zip(*parts))
    return Readout(loss_nats=loss, rank=rank, kl_to_final_nats=kl)


def _read_positions(
    vectors: Float[Tensor, "point n d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    targets: Int[Tensor, " n"],
    vocab: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, rank and divergence of a few positions, a piece of the vocabulary at a time."""
    n_points, n, _ = vectors.shape
    target_logit = torch.einsum("pnd,dn->pn", vectors, W_U[:, targets]) + b_U[targets]
    log_sum = vectors.new_full((n_points, n), -torch.inf)
    rank = torch.zeros((n_points, n), dtype=torch.long, device=vectors.device)
    # Of the last point: its largest logit, the sum of its exponentials, and with those as weights
    # the sum of every point's logits.
    peak, weight = vectors.new_full((n,), -torch.inf), vectors.new_zeros(n)
    weighted = vectors.new_zeros((n_points, n))
    for start in range(0, W_U.shape[1], vocab):
        W, b = W_U[:, start : start + vocab], b_U[start : start + vocab]
        own = (targets - start).clamp(0, len(b) - 1)[:, None]
        here = ((targets >= start) & (targets < start + len(b)))[:, None]
        last = torch.addmm(b, vectors[-1], W)
        before, peak = peak, torch.maximum(peak, last.amax(dim=1))
        exponential = (last - peak[:, None]).exp_()
        weight = weight * (before - peak).exp() + exponential.sum(dim=1)
        for point in range(n_points):
            logits = last if point == n_points - 1 else torch.addmm(b, vectors[point], W)
            piece = torch.linalg.vecdot(exponential, logits)
            weighted[point] = weighted[point] * (before - peak).exp() + piece
            log_sum[point] = torch.logaddexp(log_sum[point], logits.logsumexp(dim=1))
            # The very number it is compared with, so that rounding puts no token above itself.
            known = torch.where(here, logits.gather(1, own), target_logit[point, :, None])
            target_logit[point] = known[:, 0]
            # As floats, whose sum is seven times faster than that of truth values.
            reach = torch.ge(logits, known, out=torch.empty_like(logits))
            rank[point] += reach.sum(dim=1).long()
    expected = weighted / weight - log_sum
    return log_sum - target_logit, rank, (expected[-1] - expected).clamp(min=0)


@torch.no_grad()
def likeliest(
    vectors: Float[Tensor, "n d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    *,
    k: int,
    cells: int = CELLS,
) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """Probabilities and ids of the likeliest tokens, the likeliest first."""
    size = max(1, cells // W_U.shape[1])
    parts = [
        torch.addmm(b_U, part, W_U).softmax(dim=1).topk(min(k, W_U.shape[1]), dim=1)
        for part in vectors.split(size)
    ]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
