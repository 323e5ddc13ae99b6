"""Fixed ways to read more than one token: the mean of the prefix, and a window of the last few."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class PrefixMean(nn.Module):
    """The bag of words: position t reads the mean over positions 0..t."""

    def forward(
        self, embed: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos d_model"]:
        """The running mean: a prediction at every position, and at the last the article's."""
        counts = torch.arange(1, embed.shape[1] + 1, device=embed.device, dtype=embed.dtype)
        return embed.cumsum(dim=1) / counts[:, None]


class Window(nn.Module):
    """The n-gram: position t reads the embeddings of its last `size` tokens side by side."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(
        self,
        embed: Float[Tensor, "batch pos d_model"],
        left_of_row: Float[Tensor, "d_model"],
    ) -> Float[Tensor, "batch pos window_d_model"]:
        """Concatenate, oldest token first.

        Args:
            embed: The embedded row.
            left_of_row: What stands for every position left of the row.
        """
        batch = embed.shape[0]
        left = left_of_row.expand(batch, self.size - 1, -1)
        windows = torch.cat([left, embed], dim=1).unfold(dimension=1, size=self.size, step=1)
        return rearrange(windows, "batch pos d_model window -> batch pos (window d_model)")
