"""Normalisation with its scale in the open: LayerNorm and RMSNorm."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from lt_interp.model.parts.unseen import unseen


class LayerNorm(nn.Module):
    """Centre, divide by the standard deviation, then scale and shift (arXiv 1607.06450).

    `hook_scale` carries the divisor [batch pos 1], `hook_normalized` the quotient [batch pos
    d_model], before `w` scales and `b` shifts it, as in TransformerLens; split attention inputs
    put a head axis before the last. Sums are taken in float32 or finer, and the divisor stays so,
    as in HookedTransformer: in bfloat16 it would have three digits.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model))
        self.hook_scale = HookPoint()
        self.hook_normalized = HookPoint()

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalise the last axis."""
        if unseen(self.hook_scale, self.hook_normalized):
            return nn.functional.layer_norm(x, self.w.shape, self.w, self.b, self.eps)
        dtype = x.dtype
        x = x.to(torch.promote_types(dtype, torch.float32))
        x = x - x.mean(dim=-1, keepdim=True)
        scale = self.hook_scale((x.square().mean(dim=-1, keepdim=True) + self.eps).sqrt())
        return self.hook_normalized((x / scale).to(dtype)) * self.w + self.b


class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale (arXiv 1910.07467): no centring, no shift.

    The hooks are those of `LayerNorm`.
    """

    def __init__(self, d_model: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.w = nn.Parameter(torch.ones(d_model))
        self.hook_scale = HookPoint()
        self.hook_normalized = HookPoint()

    @property
    def b(self) -> Float[Tensor, "d_model"]:
        """Zeros: nothing is shifted."""
        return torch.zeros_like(self.w)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalise the last axis."""
        if unseen(self.hook_scale, self.hook_normalized):
            return nn.functional.rms_norm(x, self.w.shape, self.w, self.eps)
        dtype = x.dtype
        x = x.to(torch.promote_types(dtype, torch.float32))
        scale = self.hook_scale((x.square().mean(dim=-1, keepdim=True) + self.eps).sqrt())
        return self.hook_normalized((x / scale).to(dtype)) * self.w


NORMS: dict[str, type[LayerNorm] | type[RMSNorm]] = {"LN": LayerNorm, "RMS": RMSNorm}
"""By the names that `cfg.normalization_type` has for them."""
