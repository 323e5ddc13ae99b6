"""Numbers that are no numbers, by the name of what first holds one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel

SCORES = "attn.hook_attn_scores"  # minus infinity where a query may not look


def weight_not_finite(model: StageModel) -> str | None:
    """The first weight that holds NaN or infinity."""
    named = model.state_dict().items()
    return next((name for name, weight in named if not weight.isfinite().all()), None)


@torch.no_grad()
def activation_not_finite(model: StageModel, tokens: Int[Tensor, "batch pos"]) -> str | None:
    """The first activation that holds NaN or infinity when a model reads tokens."""
    found: list[str] = []

    def look(act: Tensor, hook: Any) -> None:
        masked = hook.name.endswith(SCORES)
        fine = act.isfinite() | (act == -torch.inf) if masked else act.isfinite()
        if not fine.all():
            found.append(hook.name)

    own = [name for name, point in model.hook_dict.items() if point.name == name]
    firing = [name for name in own if not model.flag_to_set(model.hook_dict[name])]
    with model.hooks([(name, look) for name in firing]):
        model(tokens)
    return found[0] if found else None


def require_finite(model: StageModel, tokens: Int[Tensor, "batch pos"]) -> None:
    """Look at every weight, and at every activation when a model reads tokens.

    Raises:
        InputError: One holds NaN or infinity; the message names it.
    """
    if weight_not_finite(model) or activation_not_finite(model, tokens):
        raise InputError(not_finite(model, tokens))


@contextmanager
def finite_activations(model: StageModel) -> Iterator[None]:
    """Refuse to measure numbers that are none, whatever a model reads and is changed by.

    The output of every block is looked at, and of what stands before and after the blocks.

    Raises:
        InputError: It is not finite; the message names the weight or activation where that begins.
    """
    tokens: list[Tensor] = []

    def remember(_: nn.Module, read: tuple[Tensor, ...]) -> None:
        tokens[:] = [read[0]]

    def look(_: nn.Module, __: Any, output: Tensor) -> None:
        if output.isfinite().all():
            return
        for handle in handles:
            handle.remove()
        raise InputError(not_finite(model, tokens[0] if tokens else None))

    last = [model.ln_final] if model.config.final_norm else []
    handles = [
        model.embed.register_forward_pre_hook(remember),
        *(part.register_forward_hook(look) for part in (model.embed, *model.blocks, *last)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def not_finite(model: StageModel, tokens: Int[Tensor, "batch pos"] | None) -> str:
    """One line that says where a model's numbers stop being numbers."""
    name = model.cfg.model_name
    if weight := weight_not_finite(model):
        return f"{name}: the weight {weight} holds NaN or infinity; load or train it again"
    reads = None if tokens is None else activation_not_finite(model, tokens)
    if reads:
        return f"{name}: the activation {reads} holds NaN or infinity; its weights are too large"
    return f"{name}: an activation holds NaN or infinity after it was changed; patch it with less"
