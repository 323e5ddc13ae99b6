"""Vectors become a score for every token of the vocabulary."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint


class Unembed(nn.Module):
    """`x W_U + b_U`, with `W_U` [d_in d_vocab] of its own (untied).

    `hook_in` [batch pos d_in] is what the scores are read from, `hook_out` [batch pos d_vocab]
    the logits.
    """

    def __init__(self, d_in: int, d_vocab: int) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(d_in, d_vocab))
        self.b_U = nn.Parameter(torch.empty(d_vocab))
        self.hook_in = HookPoint()
        self.hook_out = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_in"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Score the vocabulary."""
        return self.hook_out(self.hook_in(x) @ self.W_U + self.b_U)
