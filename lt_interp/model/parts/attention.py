"""Causal self-attention, every intermediate result in the open."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformer_lens.config import TransformerLensConfig
from transformer_lens.hook_points import HookPoint

from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.distance import alibi_bias, alibi_slopes, rotate
from lt_interp.model.parts.past import Past
from lt_interp.model.parts.unseen import unseen


class Attention(nn.Module):
    """Each position reads a weighted mean of the positions up to its own, once a head.

    Weights are kept a head apart, as TransformerLens does: `W_Q`, `W_K`, `W_V`
    [head d_model d_head] and `W_O` [head d_head d_model]. There are no biases; `b_Q`, `b_K`,
    `b_V` and `b_O` answer with zeros for code that asks for them. Rotary positions turn queries
    and keys (`hook_rot_q`, `hook_rot_k`), ALiBi lowers the scores.
    """

    def __init__(self, config: ModelConfig, cfg: TransformerLensConfig, *, layer: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.cfg = cfg
        self.positions = config.positions
        self.dropout = nn.Dropout(config.dropout)
        heads_in = (cfg.n_heads, cfg.d_model, cfg.d_head)
        self.W_Q = nn.Parameter(torch.empty(heads_in))
        self.W_K = nn.Parameter(torch.empty(heads_in))
        self.W_V = nn.Parameter(torch.empty(heads_in))
        self.W_O = nn.Parameter(torch.empty(cfg.n_heads, cfg.d_head, cfg.d_model))
        self.hook_q = HookPoint()
        self.hook_k = HookPoint()
        self.hook_v = HookPoint()
        if self.positions == "rotary":
            self.hook_rot_q = HookPoint()
            self.hook_rot_k = HookPoint()
        self.hook_attn_scores = HookPoint()
        self.hook_pattern = HookPoint()
        self.hook_z = HookPoint()
        self.hook_result = HookPoint()

    @property
    def b_Q(self) -> Float[Tensor, "head d_head"]:
        """Zeros: queries have no bias."""
        return self.W_Q.new_zeros(self.cfg.n_heads, self.cfg.d_head)

    b_K = b_V = b_Q

    @property
    def b_O(self) -> Float[Tensor, "d_model"]:
        """Zeros: the output has no bias."""
        return self.W_O.new_zeros(self.cfg.d_model)

    def forward(
        self,
        query_input: Float[Tensor, "batch pos *head d_model"],
        key_input: Float[Tensor, "batch pos *head d_model"],
        value_input: Float[Tensor, "batch pos *head d_model"],
        past: Past | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Attend.

        Args:
            query_input: What queries are made from; a head axis gives every head its own.
            key_input: What keys are made from.
            value_input: What values are made from.
            past: What came before, which is read too and extended.
        """
        project = _project_few if past else _project
        inputs, weights = (query_input, key_input, value_input), (self.W_Q, self.W_K, self.W_V)
        if unseen() and not past and query_input is key_input is value_input:
            q, k, v = _project(query_input, torch.cat(weights)).chunk(3, dim=2)  # in one product
        else:
            q, k, v = map(project, inputs, weights)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        if self.positions == "rotary":
            first = past.first(self.layer) if past else 0
            q = self.hook_rot_q(rotate(q, first=first))
            k = self.hook_rot_k(rotate(k, first=first))
        if past:
            k, v = past.extend(self.layer, k, v)
        z = self.hook_z(self.read(q, k, v))
        if self.cfg.use_attn_result:
            result = self.hook_result(einsum(z, self.W_O, "b p h d, h d m -> b p h m"))
            return result.sum(dim=2)
        return z.flatten(2) @ self.W_O.flatten(0, 1)  # summed over the heads

    def read(
        self,
        q: Float[Tensor, "batch query head d_head"],
        k: Float[Tensor, "batch key head d_head"],
        v: Float[Tensor, "batch key head d_head"],
    ) -> Float[Tensor, "batch query head d_head"]:
        """The mean of the values, weighted by the softmax of the scores."""
        if (
            unseen(self.hook_attn_scores, self.hook_pattern)
            and self.positions != "alibi"
            and q.shape[1] in (1, k.shape[1])
            and not _faster_in_the_open(q)
        ):
            is_causal, dropout = q.shape[1] > 1, self.dropout.p * self.training
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [batch head pos d_head]
            z = scaled_dot_product_attention(q, k, v, is_causal=is_causal, dropout_p=dropout)
            return z.transpose(1, 2)
        scores = _causal_scores(q, k)
        if self.positions == "alibi":
            slopes = alibi_slopes(self.cfg.n_heads).to(scores)
            scores = scores + alibi_bias(slopes, n_queries=q.shape[1], n_keys=k.shape[1])
        scores = self.hook_attn_scores(scores)
        pattern = self.dropout(self.hook_pattern(scores.softmax(dim=-1)))
        return einsum(pattern, v, "b h query key, b key h d -> b query h d")


def _faster_in_the_open(q: Float[Tensor, "batch query head d_head"]) -> bool:
    """Whether the processor's fused kernel takes longer than the steps it stands in for.

    In bfloat16, forward and backward over 2,040 tokens, two heads of 64: 18 ms for 9 at 255
    positions, 20 for 11 at 511, 16 for 15 at 1,023, where the open pattern's memory counts too.
    """
    return q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[1] <= 512


def _project(
    x: Float[Tensor, "batch pos *head d_model"], weight: Float[Tensor, "head d_model d_head"]
) -> Float[Tensor, "batch pos head d_head"]:
    """Every head's linear map of a shared input, or of its own."""
    if x.ndim == 4:
        return einsum(x, weight, "b p h m, h m d -> b p h d")
    return einsum(x, weight, "b p m, h m d -> b p h d")


def _project_few(
    x: Float[Tensor, "batch pos *head d_model"], weight: Float[Tensor, "head d_model d_head"]
) -> Float[Tensor, "batch pos head d_head"]:
    """The same for a step of a few positions, head by head.

    `einsum` multiplies all heads at once by a copy of their weights, which takes longer than so
    small a product.
    """
    if x.ndim == 4:
        return _project(x, weight)
    rows = x.flatten(0, 1).expand(len(weight), -1, -1)
    return torch.bmm(rows, weight).unflatten(1, x.shape[:2]).permute(1, 2, 0, 3)


def _causal_scores(
    q: Float[Tensor, "batch query head d_head"], k: Float[Tensor, "batch key head d_head"]
) -> Float[Tensor, "batch head query key"]:
    """`q k / sqrt(d_head)`, minus infinity where the key lies after the query.

    The queries are those of the last positions.

    One `baddbmm` scales and masks while it multiplies: a third of attention's time otherwise.
    """
    batch, n_queries, _, d_head = q.shape
    n_keys = k.shape[1]
    future = q.new_full((n_queries, n_keys), -torch.inf).triu(diagonal=1 + n_keys - n_queries)
    queries = rearrange(q, "b query h d -> (b h) query d")
    keys = rearrange(k, "b key h d -> (b h) d key")
    scores = torch.baddbmm(future, queries, keys, alpha=d_head**-0.5)
    return rearrange(scores, "(b h) query key -> b h query key", b=batch)
