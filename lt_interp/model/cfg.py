"""A model's description under HookedTransformer's field names: `model.cfg`."""

from __future__ import annotations

from transformer_lens.config import TransformerLensConfig

from lt_interp.model.config import ModelConfig

# HookedTransformer's words; its models always have positions of some kind.
_POSITIONS = {None: "none", "learned": "standard", "alibi": "alibi", "rotary": "rotary"}


def transformer_lens_config(config: ModelConfig, *, name: str) -> TransformerLensConfig:
    """What code written for HookedTransformer reads from `model.cfg`.

    A model without attention has `n_heads` and `d_head` 0, one without blocks `n_layers` 0.

    Args:
        config: The model.
        name: What `cfg.model_name` says.
    """
    gated = config.activation == "swiglu"
    cfg = TransformerLensConfig(
        d_model=config.d_model,
        d_head=config.d_head,
        n_layers=config.depth,
        n_ctx=config.n_ctx,
        n_heads=config.n_heads,
        d_mlp=config.d_mlp,
        d_vocab=config.d_vocab,
        device="cpu",
        default_prepend_bos=False,
        attn_only=not config.d_mlp,
        act_fn="silu" if gated else config.activation,
        gated_mlp=gated,
        positional_embedding_type=_POSITIONS[config.positions],
        normalization_type=config.wiring.norm,
        num_experts=config.experts.count if config.experts else None,
        experts_per_token=1 if config.experts else None,
    )
    for flag in ("use_attn_in", "use_hook_mlp_in", "ungroup_grouped_query_attention"):
        setattr(cfg, flag, False)
    cfg.attn_scale = config.d_head**0.5
    cfg.d_vocab_out = config.d_vocab
    cfg.attention_dir = "causal"
    cfg.model_name = name
    return cfg
