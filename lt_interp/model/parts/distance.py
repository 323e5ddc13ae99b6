"""Positions that act inside attention, by the distance of query and key: ALiBi and RoPE."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0  # of the rotary wavelengths


def alibi_slopes(n_heads: int) -> Float[Tensor, " head"]:
    """How fast each head forgets: `2^(-8 i / n)` for head i of n, counted from 1.

    Press, Smith and Lewis, arXiv 2108.12409; for a number of heads that is no power of two they
    interleave two such series, here one formula serves all.
    """
    return 2.0 ** (-8.0 * torch.arange(1, n_heads + 1) / n_heads)


def alibi_bias(
    slopes: Float[Tensor, " head"], *, n_queries: int, n_keys: int
) -> Float[Tensor, "head query key"]:
    """What ALiBi adds to the scores: minus the slope times how far back the key lies.

    Args:
        slopes: Of every head.
        n_queries: The last so many of the keys' positions.
        n_keys: Positions from the first on.
    """
    keys = torch.arange(n_keys, device=slopes.device)
    back = keys[n_keys - n_queries :, None] - keys
    return -slopes[:, None, None] * back


def rotate(
    x: Float[Tensor, "batch pos head d_head"], *, first: int = 0
) -> Float[Tensor, "batch pos head d_head"]:
    """Turn pairs of coordinates by angles that grow with the position (RoPE, arXiv 2104.09864).

    Coordinate `i` is paired with `i + d_head / 2` and turned by `pos / 10000^(2 i / d_head)`, so
    that the product of a rotated query and a rotated key depends on their distance alone.

    Args:
        x: Queries or keys.
        first: Position of the first of them.
    """
    half = x.shape[-1] // 2
    rates = BASE ** (-torch.arange(half, device=x.device) / half)
    positions = torch.arange(first, first + x.shape[1], device=x.device)
    angles = rearrange(positions[:, None] * rates, "pos pair -> pos 1 pair")
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)
