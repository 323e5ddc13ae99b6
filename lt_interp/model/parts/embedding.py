"""Tokens and positions become vectors."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Embed(nn.Module):
    """A vector for every token id: a row of `W_E` [d_vocab d_model]."""

    def __init__(self, d_vocab: int, d_model: int) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """Look the ids up."""
        return nn.functional.embedding(tokens, self.W_E)


class PosEmbed(nn.Module):
    """A learned vector for every position: a row of `W_pos` [n_ctx d_model]."""

    def __init__(self, n_ctx: int, d_model: int) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(n_ctx, d_model))

    def forward(
        self, tokens: Int[Tensor, "batch pos"], *, first: int = 0
    ) -> Float[Tensor, "batch pos d_model"]:
        """The vectors of the positions from `first` on, the same for every row.

        Repeated along the batch, since TransformerLens's residual decomposition adds them to
        tensors that have one.
        """
        batch, pos = tokens.shape
        return self.W_pos[first : first + pos].expand(batch, -1, -1)
