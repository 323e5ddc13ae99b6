"""The feed-forward layer: widen, bend, narrow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear
from transformer_lens.hook_points import HookPoint

from lt_interp.model.config import ModelConfig

BENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu, "gelu": nn.functional.gelu, "swiglu": nn.functional.silu,
}  # fmt: skip


class MLP(nn.Module):
    """`f(x W_in + b_in) W_out + b_out` at every position by itself, `f` a ReLU or a GELU.

    A SwiGLU (arXiv 2002.05202) has a third matrix: `(silu(x W_gate) * (x W_in)) W_out`.
    `hook_pre` and `hook_post` [batch pos d_mlp] stand before the bend and after all of it;
    `hook_pre_linear` is `x W_in` beside the gate, as in TransformerLens.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d_model, d_mlp = config.d_model, config.d_mlp
        self.bend = BENDS[config.activation]
        self.gated = config.activation == "swiglu"
        self.W_in = nn.Parameter(torch.empty(d_model, d_mlp))
        self.W_out = nn.Parameter(torch.empty(d_mlp, d_model))
        if self.gated:
            self.W_gate = nn.Parameter(torch.empty(d_model, d_mlp))
            self.hook_pre_linear = HookPoint()
        self.b_in = nn.Parameter(torch.empty(d_mlp)) if config.mlp_bias else None
        self.b_out = nn.Parameter(torch.empty(d_model)) if config.mlp_bias else None
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Transform each position."""
        wide = linear(x, self.W_in.T, self.b_in)
        if self.gated:
            gate = self.bend(self.hook_pre(linear(x, self.W_gate.T)))
            post = gate * self.hook_pre_linear(wide)
        else:
            post = self.bend(self.hook_pre(wide))
        return linear(self.hook_post(post), self.W_out.T, self.b_out)
