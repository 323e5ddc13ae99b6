"""The weight half of HookedTransformer's surface: every matrix under TransformerLens's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.FactoredMatrix import FactoredMatrix

from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.embedding import Embed, PosEmbed
from lt_interp.model.parts.moe import MixtureOfExperts
from lt_interp.model.parts.norm import LayerNorm, RMSNorm
from lt_interp.model.parts.unembed import TiedUnembed, Unembed

if TYPE_CHECKING:
    from transformer_lens.config import TransformerLensConfig


class Weights:
    """Properties of a model that stack its blocks' weights; a missing part raises `InputError`."""

    config: ModelConfig
    cfg: TransformerLensConfig
    blocks: Any  # an nn.ModuleList of Block, which type checkers see as bare modules
    embed: Embed
    pos_embed: PosEmbed
    ln_final: LayerNorm | RMSNorm
    unembed: Unembed | TiedUnembed

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """Token embeddings."""
        return self.embed.W_E

    @property
    def W_pos(self) -> Float[Tensor, "n_ctx d_model"]:
        """Position embeddings."""
        self._need(self.config.embeds_positions, "position embeddings")
        return self.pos_embed.W_pos

    @property
    def W_U(self) -> Float[Tensor, "d_in d_vocab"]:
        """Unembedding."""
        return self.unembed.W_U

    @property
    def b_U(self) -> Float[Tensor, "d_vocab"]:
        """Bias of the unembedding; zeros if it has none."""
        bias = self.unembed.b_U
        return self.W_U.new_zeros(self.cfg.d_vocab) if bias is None else bias

    @property
    def W_Q(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Query weights."""
        return self._attention("W_Q")

    @property
    def W_K(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Key weights."""
        return self._attention("W_K")

    @property
    def W_V(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Value weights."""
        return self._attention("W_V")

    @property
    def W_O(self) -> Float[Tensor, "layer head d_head d_model"]:
        """Output weights."""
        return self._attention("W_O")

    @property
    def b_Q(self) -> Float[Tensor, "layer head d_head"]:
        """Zeros: queries have no bias."""
        return self._attention("b_Q")

    @property
    def b_K(self) -> Float[Tensor, "layer head d_head"]:
        """Zeros: keys have no bias."""
        return self._attention("b_K")

    @property
    def b_V(self) -> Float[Tensor, "layer head d_head"]:
        """Zeros: values have no bias."""
        return self._attention("b_V")

    @property
    def b_O(self) -> Float[Tensor, "layer d_model"]:
        """Zeros: attention's output has no bias."""
        return self._attention("b_O")

    @property
    def W_in(self) -> Float[Tensor, "layer *expert d_model d_mlp"]:
        """Feed-forward input weights; a mixture has an axis for the expert."""
        return self._feed_forward("W_in")

    @property
    def W_gate(self) -> Float[Tensor, "layer *expert d_model d_mlp"]:
        """Gate weights of SwiGLU layers."""
        self._need(self.config.activation == "swiglu", "gate in its feed-forward layers")
        return self._feed_forward("W_gate")

    @property
    def b_in(self) -> Float[Tensor, "layer *expert d_mlp"]:
        """Feed-forward input biases; zeros if there are none."""
        return self._feed_forward("b_in")

    @property
    def W_out(self) -> Float[Tensor, "layer *expert d_mlp d_model"]:
        """Feed-forward output weights."""
        return self._feed_forward("W_out")

    @property
    def b_out(self) -> Float[Tensor, "layer *expert d_model"]:
        """Feed-forward output biases; zeros if there are none."""
        return self._feed_forward("b_out")

    @property
    def QK(self) -> FactoredMatrix:
        """What a head compares: `W_Q W_K^T` [layer head d_model d_model], factored."""
        return FactoredMatrix(self.W_Q, rearrange(self.W_K, "l h m d -> l h d m"))

    @property
    def OV(self) -> FactoredMatrix:
        """What a head moves: `W_V W_O` [layer head d_model d_model], factored."""
        return FactoredMatrix(self.W_V, self.W_O)

    def all_head_labels(self) -> list[str]:
        """`L0H0`, `L0H1`, ... in the order of the stacked weights."""
        cfg = self.cfg
        return [f"L{layer}H{head}" for layer in range(cfg.n_layers) for head in range(cfg.n_heads)]

    def all_composition_scores(self, mode: str) -> Float[Tensor, "layer head layer head"]:
        """How much each head reads from each earlier one (Elhage et al. 2021).

        The Frobenius norm of the product over the product of norms; `mode` is `"Q"`, `"K"` or
        `"V"`. Zero where the second head is not in a later layer.
        """
        right = {"Q": self.QK, "K": self.QK.T, "V": self.OV}.get(mode)
        if right is None:
            raise InputError(f"mode {mode!r}; allowed: Q, K, V")
        left = self.OV
        product = left[:, :, None, None] @ right[None, None]
        scores = product.norm() / (left.norm()[:, :, None, None] * right.norm()[None, None])
        layers = torch.arange(self.cfg.n_layers, device=scores.device)
        later = layers[:, None, None, None] < layers[None, None, :, None]
        return scores * later

    def accumulated_bias(
        self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True
    ) -> Float[Tensor, "d_model"]:
        """Sum of the output biases that reach the stream before a layer.

        Args:
            layer: Number of whole blocks that are counted.
            mlp_input: Count the attention of block `layer` too (its bias is zero here).
            include_mlp_biases: Count the feed-forward layers.

        Raises:
            InputError: The blocks are mixtures, whose bias depends on the token.
        """
        self._need(self.config.has_stream, "residual stream")
        total = self.W_E.new_zeros(self.cfg.d_model)
        if not (include_mlp_biases and self.config.d_mlp):
            return total
        if self.config.experts and layer:
            raise InputError("a mixture adds its experts' biases by token; there is no single one")
        return total + self.b_out[:layer].sum(dim=0)

    def tokens_to_residual_directions(
        self, tokens: str | int | Tensor
    ) -> Float[Tensor, "*tokens d_model"]:
        """Directions in the residual stream that raise each token's logit.

        Columns of `W_U`, each times the weight of the final LayerNorm, which stands between the
        stream and `W_U`: so attributions of all components add up to the logit less `b_U` and
        less what the LayerNorm's bias gives, both the same at every position.

        Raises:
            InputError: The stage has no residual stream, and thus no such directions.
        """
        self._need(self.config.has_stream, "residual stream")
        if isinstance(tokens, str):
            tokens = self.to_single_token(tokens)  # type: ignore[attr-defined]
        ids = torch.as_tensor(tokens, device=self.W_U.device)
        directions = self.W_U.T[ids]
        return directions * self.ln_final.w if self.config.wiring.norm else directions

    def _attention(self, name: str) -> Tensor:
        self._need(self.config.n_heads, "attention")
        return torch.stack([getattr(block.attn, name) for block in self.blocks])

    def _feed_forward(self, name: str) -> Tensor:
        self._need(self.config.d_mlp, "feed-forward layer")
        return torch.stack([_stack_experts(block.mlp, name) for block in self.blocks])

    def _need(self, present: Any, part: str) -> None:
        if not present:
            raise InputError(f"this stage has no {part}")


def _stack_experts(mlp: nn.Module, name: str) -> Tensor:
    if isinstance(mlp, MixtureOfExperts):
        return torch.stack([_weight(expert, name) for expert in mlp.experts])
    return _weight(mlp, name)


def _weight(mlp: nn.Module, name: str) -> Tensor:
    """A weight of a feed-forward layer, zeros for a bias that it does not have."""
    weight = getattr(mlp, name)
    if weight is None:
        return torch.zeros_like(getattr(mlp, name.replace("b_", "W_"))[0])
    return weight
