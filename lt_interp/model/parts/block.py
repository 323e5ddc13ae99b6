"""A block joins attention and feed-forward: as a chain, or around a residual stream."""

from __future__ import annotations

from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.config import TransformerLensConfig
from transformer_lens.hook_points import HookPoint

from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.attention import Attention
from lt_interp.model.parts.feedforward import MLP
from lt_interp.model.parts.moe import MixtureOfExperts
from lt_interp.model.parts.norm import NORMS
from lt_interp.model.parts.past import Past


class Block(nn.Module):
    """The parts of one layer, each present or absent.

    With `wiring.residual` the parts add to a stream, which then has hooks before
    (`hook_resid_pre`), between (`hook_resid_mid`) and after them (`hook_resid_post`); without,
    the output of one is the input of the next and there is no stream to hook. A norm stands before
    each part (pre-norm), or after each sum (post-norm).
    """

    def __init__(self, config: ModelConfig, cfg: TransformerLensConfig, *, layer: int = 0) -> None:
        super().__init__()
        self.cfg = cfg
        self.residual = config.wiring.residual
        self.attn = Attention(config, cfg, layer=layer) if config.n_heads else None
        self.mlp = _feed_forward(config)
        self.norm_after = config.wiring.norm_after
        self.dropout = nn.Dropout(config.dropout)
        self.ln1 = _norm(config) if self.attn else nn.Identity()
        self.ln2 = _norm(config) if self.mlp else nn.Identity()
        if self.attn:
            self.hook_attn_in = HookPoint()
            self.hook_q_input = HookPoint()
            self.hook_k_input = HookPoint()
            self.hook_v_input = HookPoint()
            self.hook_attn_out = HookPoint()
        if self.mlp:
            self.hook_mlp_in = HookPoint()
            self.hook_mlp_out = HookPoint()
        if self.residual:
            # TransformerLens's logit lens asks whether the block's output is the whole stream.
            self.hook_out_is_single_residual_stream = True
            self.hook_resid_pre = HookPoint()
            self.hook_resid_post = HookPoint()
            if self.attn and self.mlp:
                self.hook_resid_mid = HookPoint()

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], past: Past | None = None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Run the parts that are there, attention with what came before."""
        if not self.residual:
            x = self.attend(x, past) if self.attn else x
            return self.think(x) if self.mlp else x
        x = self.hook_resid_pre(x)
        if self.attn:
            x = self.after(self.ln1, x + self.attend(x, past))
        if self.attn and self.mlp:
            x = self.hook_resid_mid(x)
        if self.mlp:
            x = self.after(self.ln2, x + self.think(x))
        return self.hook_resid_post(x)

    def before(self, norm: nn.Module, x: Float[Tensor, "... d_model"]) -> Tensor:
        """What a part reads: normalised, unless the norm stands after it."""
        return x if self.norm_after else norm(x)

    def after(self, norm: nn.Module, x: Float[Tensor, "batch pos d_model"]) -> Tensor:
        """The stream after a part: its sum, normalised if the norm stands there."""
        return norm(x) if self.norm_after else x

    def attend(
        self, x: Float[Tensor, "batch pos d_model"], past: Past | None = None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Attention on the normalised input."""
        assert self.attn is not None
        if self.cfg.use_attn_in:
            x = self.hook_attn_in(self._per_head(x))
        if not self.cfg.use_split_qkv_input:
            x = self.before(self.ln1, x)
            return self.hook_attn_out(self.dropout(self.attn(x, x, x, past)))
        inputs = [
            self.before(self.ln1, hook(x if x.ndim == 4 else self._per_head(x)))
            for hook in (self.hook_q_input, self.hook_k_input, self.hook_v_input)
        ]
        return self.hook_attn_out(self.dropout(self.attn(*inputs, past)))

    def think(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Feed-forward on the normalised input."""
        assert self.mlp is not None
        if self.cfg.use_hook_mlp_in:
            x = self.hook_mlp_in(x.clone())
        return self.hook_mlp_out(self.dropout(self.mlp(self.before(self.ln2, x))))

    def _per_head(
        self, x: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos head d_model"]:
        """A copy of the input for every head, so that a hook can change one head's."""
        return repeat(x, "b p m -> b p h m", h=self.cfg.n_heads).clone()


def _norm(config: ModelConfig) -> nn.Module:
    """The norm that the description asks for, or nothing in its place."""
    return NORMS[config.wiring.norm](config.d_model) if config.wiring.norm else nn.Identity()


def _feed_forward(config: ModelConfig) -> MLP | MixtureOfExperts | None:
    """The feed-forward part that the description asks for."""
    if not config.d_mlp:
        return None
    if config.experts:
        return MixtureOfExperts(config, config.experts)
    return MLP(config)
