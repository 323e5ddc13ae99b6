"""A pre-norm stage as a `GPT2LMHeadModel` of transformers, part for part.

Two things differ, and neither changes what is computed. GPT-2's attention has biases: they are
zeros. Its unembedding has none: what the final LayerNorm puts out before its weight and bias has
mean zero, so a column of ones in the unembedding never sees it, and meets only the LayerNorm's
bias. The exported LayerNorm has weight 1 and bias 1, and the unembedding is

    W' = (I - 11'/d) diag(w) W_U + 1 (b W_U + b_U) / d

so that (n + 1) W' = n diag(w) W_U + b W_U + b_U for every n of mean zero, d = d_model.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from lt_interp.export.beyond import why_not_written
from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.attention import Attention
from lt_interp.model.stage_model import StageModel


def why_not_gpt2(config: ModelConfig) -> str | None:
    """Why GPT-2's blocks are not those of a model with blocks; `None` if they are."""
    if not config.wiring.residual:
        return (
            "its parts form a chain, and no decoder of transformers goes without a residual stream"
        )
    if why_not_written(config):
        return why_not_written(config)
    if config.experts:
        return "no decoder of transformers has both experts and learned position embeddings"
    if not config.wiring.norm:
        return "its blocks have no LayerNorm, and those of transformers' decoders have"
    if not (config.n_heads and config.d_mlp):
        return "its blocks lack attention or the feed-forward layer, and those of GPT-2 have both"
    return None


def to_gpt2(model: StageModel, **token_ids: int | None) -> GPT2LMHeadModel:
    """The model as GPT-2, in float32 and eval mode.

    Args:
        model: A model that `why_not_gpt2` lets pass.
        token_ids: `eos_token_id`, `pad_token_id` and `bos_token_id` of its config.
    """
    config = model.config
    gpt2 = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.d_vocab,
            n_positions=config.n_ctx,
            n_embd=config.d_model,
            n_layer=config.depth,
            n_head=config.n_heads,
            n_inner=config.d_mlp,
            activation_function=config.activation,
            layer_norm_epsilon=model.ln_final.eps,
            tie_word_embeddings=False,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            summary_first_dropout=0.0,
            **token_ids,
        )
    )
    gpt2.load_state_dict(_weights(model))
    return gpt2.eval()


def _weights(model: StageModel) -> dict[str, Tensor]:
    config = model.config
    no_positions = torch.zeros(config.n_ctx, config.d_model)
    tensors = {
        "wte.weight": model.W_E,
        "wpe.weight": model.W_pos if config.embeds_positions else no_positions,
        "ln_f.weight": torch.ones(config.d_model),
        "ln_f.bias": torch.ones(config.d_model),
    }
    for i in range(config.depth):
        tensors |= {f"h.{i}.{name}": tensor for name, tensor in _block(model, i).items()}
    tensors = {f"transformer.{name}": tensor.detach() for name, tensor in tensors.items()}
    return tensors | {"lm_head.weight": _unembedding(model)}


def _block(model: StageModel, i: int) -> dict[str, Tensor]:
    """One block's weights; GPT-2 too multiplies from the right, `x W`."""
    block: Any = model.blocks[i]
    return {
        "ln_1.weight": block.ln1.w,
        "ln_1.bias": block.ln1.b,
        "attn.c_attn.weight": _queries_keys_values(block.attn),
        "attn.c_attn.bias": torch.zeros(3 * block.cfg.d_model),
        "attn.c_proj.weight": rearrange(block.attn.W_O, "head d_head m -> (head d_head) m"),
        "attn.c_proj.bias": block.attn.b_O,
        "ln_2.weight": block.ln2.w,
        "ln_2.bias": block.ln2.b,
        "mlp.c_fc.weight": block.mlp.W_in,
        "mlp.c_fc.bias": model.b_in[i],
        "mlp.c_proj.weight": block.mlp.W_out,
        "mlp.c_proj.bias": model.b_out[i],
    }


def _queries_keys_values(attn: Attention) -> Float[Tensor, "d_model d_qkv"]:
    """All queries, then all keys, then all values, head after head within each."""
    stacked = torch.stack([attn.W_Q, attn.W_K, attn.W_V])
    return rearrange(stacked, "qkv head m d_head -> m (qkv head d_head)")


@torch.no_grad()
def _unembedding(model: StageModel) -> Float[Tensor, "d_vocab d_model"]:
    """W' of the module's text, transposed, computed in double precision."""
    weight, bias = model.ln_final.w.double(), model.ln_final.b.double()
    W_U = model.W_U.double()
    scaled = weight[:, None] * W_U
    centred = scaled - scaled.mean(dim=0)
    constant = bias @ W_U + model.b_U.double()
    return (centred + constant / model.config.d_model).T.float()
