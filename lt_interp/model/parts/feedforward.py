"""The feed-forward layer: widen, ReLU, narrow."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint


class MLP(nn.Module):
    """`relu(x W_in + b_in) W_out + b_out` at every position by itself.

    `hook_pre` and `hook_post` [batch pos d_mlp] stand before and after the ReLU.
    """

    def __init__(self, d_model: int, d_mlp: int) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(d_model, d_mlp))
        self.b_in = nn.Parameter(torch.empty(d_mlp))
        self.W_out = nn.Parameter(torch.empty(d_mlp, d_model))
        self.b_out = nn.Parameter(torch.empty(d_model))
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Transform each position."""
        pre = self.hook_pre(x @ self.W_in + self.b_in)
        post = self.hook_post(pre.relu())
        return post @ self.W_out + self.b_out
