"""The load-balancing loss of a mixture of experts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def balance_loss(router: dict[str, Tensor]) -> Float[Tensor, ""]:
    """Experts times the sum over experts of (share of tokens) x (mean probability).

    1 when both are uniform, up to the number of experts when one expert takes all. The share has
    no gradient, the probability has. Mean over layers. (Switch Transformer, arXiv 2101.03961,
    equation 4.)

    Args:
        router: Activations of `hook_expert_weights` [batch pos expert] and
            `hook_expert_indices` [batch pos 1] by hook name, of every layer.
    """
    layers = []
    for name, weights in router.items():
        if name.endswith("hook_expert_weights"):
            indices = router[name.replace("hook_expert_weights", "hook_expert_indices")]
            count = weights.shape[-1]
            share = torch.bincount(indices.flatten(), minlength=count) / indices.numel()
            layers.append(count * (share * weights.mean(dim=(0, 1))).sum())
    return torch.stack(layers).mean()


def is_router(name: str) -> bool:
    """Whether a hook carries what `balance_loss` reads."""
    return name.endswith(("hook_expert_weights", "hook_expert_indices"))
