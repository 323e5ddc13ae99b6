"""Vectors become a score for every token of the vocabulary."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear
from transformer_lens.hook_points import HookPoint

from lt_interp.model.parts.embedding import Embed


class Unembed(nn.Module):
    """`x W_U + b_U`, with `W_U` [d_in d_vocab] of its own (untied).

    `hook_in` [batch pos d_in] is what the scores are read from, `hook_out` [batch pos d_vocab]
    the logits.
    """

    def __init__(self, d_in: int, d_vocab: int, *, bias: bool = True) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(d_in, d_vocab))
        self.b_U = nn.Parameter(torch.empty(d_vocab)) if bias else None
        self.hook_in = HookPoint()
        self.hook_out = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_in"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Score the vocabulary."""
        return self.hook_out(linear(self.hook_in(x), self.W_U.T, self.b_U))


class TiedUnembed(nn.Module):
    """`x W_E^T`: tokens are scored by the vectors that stand for them (arXiv 1608.05859).

    It has no weights of its own; the hooks are those of `Unembed`.
    """

    b_U = None

    def __init__(self, embed: Embed) -> None:
        super().__init__()
        self._embed = (embed,)  # in a tuple, so that the embedding is a part of the model once
        self.hook_in = HookPoint()
        self.hook_out = HookPoint()

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The embedding, transposed."""
        return self._embed[0].W_E.T

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Score the vocabulary."""
        return self.hook_out(self.hook_in(x) @ self.W_U)
