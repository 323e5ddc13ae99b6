"""The four-layer GPT: GPT-2's parts in small, and three ways to tell it where a token stands."""

from __future__ import annotations

from lt_interp.model.config import PRE_NORM_RESIDUAL, ModelConfig
from lt_interp.stages.stage import Stage, by_id, evolve

_LEARNED = Stage(
    id="gpt_learned",
    adds="start over: 10,000 tokens, 4 blocks of 4 heads, GELU, tied, dropout",
    family="four_layer_gpt",
    tokenizer="tinystories-10000",
    config=ModelConfig(
        d_vocab=10_000,
        n_ctx=512,
        d_model=256,
        positions="learned",
        n_layers=4,
        n_heads=4,
        d_mlp=1024,
        activation="gelu",
        wiring=PRE_NORM_RESIDUAL,
        tied=True,
        dropout=0.1,
    ),
)
_ALIBI = evolve(_LEARNED, "gpt_alibi", "ALiBi: scores fall with distance", positions="alibi")
_ROPE = evolve(
    _LEARNED, "gpt_rope", "RoPE: queries and keys turned by position", positions="rotary"
)

FOUR_LAYER_GPT: dict[str, Stage] = by_id(_LEARNED, _ALIBI, _ROPE)
