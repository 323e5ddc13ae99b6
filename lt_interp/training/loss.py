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

    The bias is the weight of one more input, which is always 1. The products and the softmax are of
    `dtype`, which sums in float32 inside.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, W_U: Tensor, b_U: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        inputs, weight = (tensor.to(dtype) for tensor in _bias_as_weight(hidden, W_U, b_U))
        to_hidden = weight[:-1].T
        d_hidden = torch.empty_like(hidden)
        d_weight = torch.zeros_like(weight, dtype=W_U.dtype)
        total = hidden.new_zeros(())
        held = weight.new_empty(min(CHUNK, len(targets)), len(b_U))
        rows = torch.arange(CHUNK, device=targets.device)
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            x, target = inputs[part], targets[part]
            losses, probs = _losses_and_probs(x, weight, target, held)
            total += losses.sum()
            probs[rows[: len(x)], target] -= 1
            d_hidden[part] = probs @ to_hidden
            d_weight += x.T @ probs
        scale = 1 / len(targets)
        ctx.save_for_backward(d_hidden.mul_(scale), d_weight.mul_(scale))
        return total * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        (upstream,) = grad_outputs
        d_W_U, d_b_U = (d_weight * upstream).split([len(d_weight) - 1, 1])
        return d_hidden * upstream, d_W_U, d_b_U[0], None, None


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
    inputs, weight = _bias_as_weight(hidden, W_U, b_U)
    losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    held = W_U.new_empty(min(CHUNK, len(targets)), len(b_U))
    for start in range(0, len(targets), CHUNK):
        part = slice(start, start + CHUNK)
        losses[part], _ = _losses_and_probs(inputs[part], weight, targets[part], held)
    return losses


def _bias_as_weight(
    hidden: Float[Tensor, "token d_in"],
    W_U: Float[Tensor, "d_in d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
) -> tuple[Float[Tensor, "token d_in_plus_1"], Float[Tensor, "d_in_plus_1 d_vocab"]]:
    """Inputs with a last one that is always 1, and the weights with the bias as its weight."""
    ones = hidden.new_ones(len(hidden), 1)
    return torch.cat([hidden, ones], dim=1), torch.cat([W_U, b_U[None]])


def _losses_and_probs(
    x: Float[Tensor, "token d_in_plus_1"],
    weight: Float[Tensor, "d_in_plus_1 d_vocab"],
    targets: Int[Tensor, "token"],
    held: Float[Tensor, "most d_vocab"],
) -> tuple[Float[Tensor, "token"], Float[Tensor, "token d_vocab"]]:
    """Cross-entropies in float32, and the probabilities, in the memory that is held for them.

    A loss is the logarithm of a probability. Where that is too small for a float, beyond 87 nats,
    the token's logits are made once more.
    """
    logits = torch.mm(x, weight, out=held[: len(x)])
    probs = torch.softmax(logits, dim=-1, out=logits)
    true = probs.gather(1, targets[:, None])[:, 0].float()
    losses = -true.log()
    lost = true < torch.finfo(true.dtype).tiny
    if lost.any():
        logits = (x[lost] @ weight).float()
        losses[lost] = cross_entropy(logits, targets[lost], reduction="none")
    return losses, probs
