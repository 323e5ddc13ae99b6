"""Attention patterns of every layer and head, without the unembedding that nobody asked for."""

from __future__ import annotations

from contextlib import suppress

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint

from lt_interp.model.stage_model import StageModel


class _EnoughError(Exception):
    """Ends a forward pass: nothing that comes after is asked for."""


@torch.no_grad()
def patterns(
    model: StageModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head pos pos"]:
    """How much each query (the axis before the last) reads of each key, 0 for keys after it.

    Args:
        model: A stage with attention.
        tokens: Token ids.
    """
    found: list[Tensor] = []

    def keep(pattern: Tensor, hook: HookPoint) -> None:
        found.append(pattern)
        # The last feed-forward layer and the unembedding would be more work than all before.
        if len(found) == model.config.depth:
            raise _EnoughError

    # The layers run in order, so the list is in their order too.
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.config.depth)]
    with suppress(_EnoughError), model.hooks(fwd_hooks=[(name, keep) for name in names]):
        model.hidden(tokens)
    return torch.stack(found)


def uniform_pattern(n: int) -> Float[Tensor, "query key"]:
    """Every key up to the query's own alike: `1 / (q + 1)`.

    It is made as a head makes its pattern, so that a head that really is uniform has the same
    floating-point numbers and differs from it by exactly nothing.
    """
    return torch.zeros(n, n).add(torch.full((n, n), -torch.inf).triu(diagonal=1)).softmax(dim=-1)
