"""A stage as the state dict and the config of TransformerLens's `HookedTransformer`.

The class was removed in TransformerLens 4.0; 3.9.0 is the last release that has it, and the one
whose names, shapes and config fields are meant here. A stage goes by the same names; what the class
has and a stage lacks is added: zeros for biases and positions, a tied unembedding written out, and
two buffers of every attention layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lt_interp.export.beyond import why_not_written
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel


def why_not_hooked_transformer(config: ModelConfig) -> str | None:
    """Why that class cannot hold a model's weights as they are; `None` if it can."""
    if config.average:
        return "it predicts from the mean of the embeddings, and that class has no such part"
    if config.window > 1:
        return "it predicts from concatenated embeddings, and that class has no such part"
    if not config.has_blocks:
        return None
    if not config.wiring.residual:
        return "its parts form a chain, and every block of that class adds to a residual stream"
    if not config.n_heads:
        return "its blocks have no attention, and every block of that class has"
    if why_not_written(config):
        return why_not_written(config)
    if config.experts:
        return (
            "its experts are plain layers, and those of that class are gated linear units without "
            "biases"
        )
    return None


def hooked_transformer_config(model: StageModel) -> dict[str, Any]:
    """The fields for `HookedTransformerConfig.from_dict`, as JSON values.

    That class leaves position embeddings out only where positions are rotary. A model of no blocks
    has nothing that would be rotated, so this is how it says that it has no positions.
    """
    config = model.config
    rotary = not config.has_blocks and not config.embeds_positions
    return {
        "model_name": model.cfg.model_name,
        "n_layers": config.depth,
        "d_model": config.d_model,
        "n_ctx": config.n_ctx,
        "n_heads": config.n_heads or 1,
        "d_head": config.d_head or config.d_model,
        "d_mlp": config.d_mlp or None,
        "attn_only": not config.d_mlp,
        "act_fn": config.activation,
        "d_vocab": config.d_vocab,
        "d_vocab_out": config.d_vocab,
        "normalization_type": config.wiring.norm if config.has_blocks else None,
        "eps": _eps(model),
        "positional_embedding_type": "rotary" if rotary else "standard",
        "attention_dir": "causal",
        "use_attn_scale": True,
        "default_prepend_bos": False,
        "device": "cpu",
    }


def hooked_transformer_weights(model: StageModel) -> dict[str, Tensor]:
    """The state dict that `HookedTransformer.load_state_dict` takes, strictly, in float32.

    Beside the weights it holds two buffers of every attention layer, as that release keeps them:
    an empty `mask` and `IGNORE`, what stands in scores for a key that comes later.
    """
    config = model.config
    tensors = {name: t.detach().float().contiguous() for name, t in model.state_dict().items()}
    for i, block in enumerate(model.blocks):
        for name in ("b_Q", "b_K", "b_V", "b_O"):
            tensors[f"blocks.{i}.attn.{name}"] = getattr(block.attn, name).detach().float()
        tensors[f"blocks.{i}.attn.mask"] = torch.empty((0, 0), dtype=torch.bool)
        tensors[f"blocks.{i}.attn.IGNORE"] = torch.tensor(-torch.inf)
        if config.d_mlp and not config.experts:
            for name, biases in (("b_in", model.b_in), ("b_out", model.b_out)):
                tensors[f"blocks.{i}.mlp.{name}"] = biases[i].detach().float().contiguous()
    for name, tensor in (("W_U", model.W_U), ("b_U", model.b_U)):
        tensors[f"unembed.{name}"] = tensor.detach().float().contiguous()
    if config.has_blocks and not config.embeds_positions:
        tensors["pos_embed.W_pos"] = torch.zeros(config.n_ctx, config.d_model)
    return tensors


def _eps(model: StageModel) -> float:
    """What the model's LayerNorms add to the variance."""
    return model.ln_final.eps if hasattr(model, "ln_final") else 1e-5
