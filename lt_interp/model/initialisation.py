"""Ways to fill a new model with random numbers, each from an explicit generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from lt_interp.model.parts.attention import Attention
from lt_interp.model.parts.embedding import Embed, PosEmbed
from lt_interp.model.parts.feedforward import MLP
from lt_interp.model.parts.moe import MixtureOfExperts
from lt_interp.model.parts.unembed import TiedUnembed, Unembed


def initialise_pytorch_default(model: nn.Module, generator: torch.Generator) -> None:
    """What `nn.Embedding` and `nn.Linear` do by themselves: the article's notebooks.

    Embeddings are N(0, 1); a linear map and its bias are uniform within 1/sqrt(fan_in).
    """
    for embedding in _embeddings(model):
        nn.init.normal_(embedding, generator=generator)
    for weight, bias, fan_in in _linear_maps(model):
        bound = fan_in**-0.5
        nn.init.uniform_(weight, -bound, bound, generator=generator)
        if bias is not None:
            nn.init.uniform_(bias, -bound, bound, generator=generator)


def initialise_fan_in(model: nn.Module, generator: torch.Generator) -> None:
    """Keep the signal at scale through any chain of parts.

    Embeddings are N(0, 1) and a linear map N(0, 1/fan_in), so that a vector of unit variance
    leaves it with unit variance whether or not a residual stream carries it past; biases start at
    zero. The unembedding starts at zero, and the loss at ln(d_vocab). Tied to the embedding it
    cannot: embeddings are then N(0, 1/d_model), and the first logits of unit size.
    """
    tied = any(isinstance(part, TiedUnembed) for part in model.modules())
    _fan_in(model, generator, unit_length=tied)


def initialise_unit_length(model: nn.Module, generator: torch.Generator) -> None:
    """As `initialise_fan_in`, with embeddings of about unit length: the `ladder` recipe's rule.

    They are N(0, 1/d_model), so that the first steps, at the same learning rate, change them more
    than chance has filled them.
    """
    _fan_in(model, generator, unit_length=True)


def _fan_in(model: nn.Module, generator: torch.Generator, *, unit_length: bool) -> None:
    for embedding in _embeddings(model):
        std = embedding.shape[1] ** -0.5 if unit_length else 1.0
        nn.init.normal_(embedding, std=std, generator=generator)
    for weight, bias, fan_in in _linear_maps(model):
        nn.init.normal_(weight, std=fan_in**-0.5, generator=generator)
        if bias is not None:
            nn.init.zeros_(bias)
    for part in model.modules():
        if isinstance(part, Unembed):
            nn.init.zeros_(part.W_U)


def initialise_normal(model: nn.Module, generator: torch.Generator) -> None:
    """GPT-2's deviation for every matrix and embedding, N(0, 0.02), biases zero."""
    std = 0.02
    for embedding in _embeddings(model):
        nn.init.normal_(embedding, std=std, generator=generator)
    for weight, bias, _ in _linear_maps(model):
        nn.init.normal_(weight, std=std, generator=generator)
        if bias is not None:
            nn.init.zeros_(bias)


INITIALISATIONS: dict[str, Callable[[nn.Module, torch.Generator], None]] = {
    "pytorch": initialise_pytorch_default,
    "fan_in": initialise_fan_in,
    "unit_length": initialise_unit_length,
    "normal": initialise_normal,
}
"""By the names that recipes have for them."""


def _embeddings(model: nn.Module) -> Iterator[Tensor]:
    for part in model.modules():
        if isinstance(part, Embed):
            yield part.W_E
        elif isinstance(part, PosEmbed):
            yield part.W_pos


def _linear_maps(model: nn.Module) -> Iterator[tuple[Tensor, Tensor | None, int]]:
    """Every linear map as weight, bias and the number of inputs to one output."""
    for part in model.modules():
        if isinstance(part, Attention):
            for weight in (part.W_Q, part.W_K, part.W_V):
                yield weight, None, weight.shape[1]
            yield part.W_O, None, part.W_O.shape[0] * part.W_O.shape[1]
        elif isinstance(part, MLP):
            yield part.W_in, part.b_in, part.W_in.shape[0]
            yield part.W_out, part.b_out, part.W_out.shape[0]
            if part.gated:
                yield part.W_gate, None, part.W_gate.shape[0]
        elif isinstance(part, MixtureOfExperts):
            yield part.router.weight, None, part.router.in_features
        elif isinstance(part, Unembed):
            yield part.W_U, part.b_U, part.W_U.shape[0]
