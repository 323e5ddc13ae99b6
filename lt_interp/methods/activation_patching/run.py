"""Unpatched runs: the prompts, their predictions, and the activations that patches are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.model.stage_model import StageModel

Activations = Mapping[str, Tensor]
"""Activations by hook name, `[pair ...]`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """An unpatched run over the prompts of some pairs.

    Attributes:
        tokens: The prompts.
        activations: What was recorded.
        logits: The prediction after the last token.
    """

    tokens: Int[Tensor, "pair pos"]
    activations: Activations
    logits: Float[Tensor, "pair d_vocab"]


@torch.no_grad()
def record(model: StageModel, tokens: Int[Tensor, "pair pos"], hooks: Iterable[str]) -> Run:
    """Run prompts as they are and keep the activations of some hooks."""
    kept: dict[str, Tensor] = {}

    def keep(activation: Tensor, hook: object, *, name: str) -> None:
        kept[name] = activation.clone()  # a later hook, or the model, may write into it

    with model.hooks(fwd_hooks=[(name, partial(keep, name=name)) for name in set(hooks)]):
        hidden = model.hidden(tokens)
    return Run(tokens=tokens, activations=kept, logits=model.unembed(hidden[:, -1:])[:, 0])
