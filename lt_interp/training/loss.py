"""Cross-entropy over a large vocabulary without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy

CHUNK = 1024  # tokens whose logits are held at once: 16 MB in float32 for 4,096 ids


class _LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `hidden W_U + b_U`, its gradients computed along with it.

    The logits of one chunk are made, turned into probabilities and then into their own gradient
    (softmax minus one-hot) in the same place, multiplied into the gradients of hidden, W_U and
    b_U, and forgotten. Backward then only scales what is there.

    The products and the softmax are of `dtype`, which sums in float32 inside.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, W_U: Tensor, b_U: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        weight, bias = W_U.to(dtype), b_U.to(dtype)
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(W_U)
        d_bias = torch.zeros_like(b_U)
        total = hidden.new_zeros(())
        held = weight.new_empty(min(CHUNK, len(targets)), len(b_U))
        rows = torch.arange(CHUNK, device=targets.device)
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            x, target = hidden[part].to(dtype), targets[part]
            losses, probs = _losses_and_probs(x, weight, bias, target, held)
            total += losses.sum()
            probs[rows[: len(x)], target] -= 1
            d_hidden[part] = probs @ weight.T
            d_weight += x.T @ probs
            d_bias += probs.sum(dim=0)
        scale = 1 / len(targets)
        ctx.save_for_backward(d_hidden.mul_(scale), d_weight.mul_(scale), d_bias.mul_(scale))
        return total * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        (upstream,) = grad_outputs
        return d_hidden * upstream, d_weight * upstream, d_bias * upstream, None, None


def linear_cross_entropy(
    hidden: Float[Tensor, "token d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    targets: Int[Tensor, "token"],
    *,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats of targets under `hidden W_U + b_U`.

    Args:
        hidden: What the unembedding reads.
        W_U: Unembedding weights.
        b_U: Unembedding bias.
        targets: The true next tokens.
        dtype: Type of the matrix products; sums are float32 whatever it is.
    """
    return _LinearCrossEntropy.apply(hidden, W_U, b_U, targets, dtype)


@torch.no_grad()
def token_losses(
    hidden: Float[Tensor, "token d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    targets: Int[Tensor, "token"],
) -> Float[Tensor, "token"]:
    """Cross-entropy in nats of every target, for evaluation: no gradients, float32."""
    losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    held = W_U.new_empty(min(CHUNK, len(targets)), len(b_U))
    for start in range(0, len(targets), CHUNK):
        part = slice(start, start + CHUNK)
        losses[part], _ = _losses_and_probs(hidden[part], W_U, b_U, targets[part], held)
    return losses


def _losses_and_probs(
    x: Float[Tensor, "token d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    targets: Int[Tensor, "token"],
    held: Float[Tensor, "most d_vocab"],
) -> tuple[Float[Tensor, "token"], Float[Tensor, "token d_vocab"]]:
    """Cross-entropies in float32, and the probabilities, in the memory that is held for them.

    A loss is the logarithm of a probability. Where that is too small for a float, beyond 87 nats,
    the token's logits are made once more.
    """
    logits = torch.addmm(b_U, x, W_U, out=held[: len(x)])
    probs = torch.softmax(logits, dim=-1, out=logits)
    true = probs.gather(1, targets[:, None])[:, 0].float()
    losses = -true.log()
    lost = true < torch.finfo(true.dtype).tiny
    if lost.any():
        logits = torch.addmm(b_U, x[lost], W_U).float()
        losses[lost] = cross_entropy(logits, targets[lost], reduction="none")
    return losses, probs
