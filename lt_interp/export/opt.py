"""A stage of no blocks as an `OPTForCausalLM` of transformers with no layers.

OPT is the decoder that can leave the final LayerNorm out. Its unembedding has no bias, so every
embedding gets one coordinate more, which is always 1 and which `b_U` stands against.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import OPTConfig, OPTForCausalLM

from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

# OPT looks position p up in row p + 2.
_POSITION_OFFSET = 2


def why_not_opt(config: ModelConfig) -> str | None:
    """Why a model without blocks is no OPT without layers; `None` if it is."""
    if config.average:
        return "it predicts from the mean of the embeddings, and no decoder of transformers does"
    if config.window > 1:
        return "it predicts from concatenated embeddings, and no decoder of transformers does"
    return None


def to_opt(model: StageModel, **token_ids: int | None) -> OPTForCausalLM:
    """The model as OPT, in float32 and eval mode.

    Args:
        model: A model without blocks that `why_not_opt` lets pass.
        token_ids: `eos_token_id`, `pad_token_id` and `bos_token_id` of its config.
    """
    config = model.config
    opt = OPTForCausalLM(
        OPTConfig(
            vocab_size=config.d_vocab,
            max_position_embeddings=config.n_ctx,
            hidden_size=config.d_model + 1,
            num_hidden_layers=0,
            num_attention_heads=1,
            do_layer_norm_before=False,  # without layers, this is what drops the final LayerNorm
            tie_word_embeddings=False,
            dropout=0.0,
            **token_ids,
        )
    )
    opt.load_state_dict(_weights(model))
    return opt.eval()


@torch.no_grad()
def _weights(model: StageModel) -> dict[str, Tensor]:
    return {
        "model.decoder.embed_tokens.weight": nn.functional.pad(model.W_E, (0, 1), value=1.0),
        "model.decoder.embed_positions.weight": _positions(model),
        "lm_head.weight": torch.cat([model.W_U.T, model.b_U[:, None]], dim=1),
    }


def _positions(model: StageModel) -> Float[Tensor, "n_ctx_plus_2 d_model_plus_1"]:
    """Position embeddings, nothing in the coordinate that is always 1."""
    config = model.config
    if not config.embeds_positions:
        return torch.zeros(config.n_ctx + _POSITION_OFFSET, config.d_model + 1)
    return nn.functional.pad(model.W_pos, (0, 1, _POSITION_OFFSET, 0))
