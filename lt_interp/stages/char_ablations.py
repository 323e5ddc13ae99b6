"""The character-level ablations: one small GPT, and what becomes of it without each part.

The article states layers, heads and widths. Context, activation, biases and dropout are those of
the code it links (https://github.com/kikim00/mini-gpt), save that ours has no bias on attention's
output nor on the tied unembedding, and drops out embeddings and patterns as well.
"""

from __future__ import annotations

from lt_interp.model.config import PRE_NORM_RESIDUAL, ModelConfig, Wiring
from lt_interp.stages.stage import Stage, by_id, evolve

_GPT = Stage(
    id="char_gpt",
    adds="start over: characters, 5 blocks of 8 heads, GELU, tied",
    family="char_ablations",
    tokenizer="character",
    config=ModelConfig(
        d_vocab=64,  # the 61 characters of the embedded stories and 3 special ids
        n_ctx=512,
        d_model=128,
        positions="learned",
        n_layers=5,
        n_heads=8,
        d_mlp=512,
        activation="gelu",
        wiring=PRE_NORM_RESIDUAL,
        tied=True,
        dropout=0.1,
    ),
)
_NO_POSITIONS = evolve(_GPT, "char_no_positions", "no position embeddings", positions=None)
_UNTIED = evolve(_GPT, "char_untied", "an unembedding of its own", tied=False)
_POST_NORM = evolve(
    _GPT,
    "char_post_norm",
    "LayerNorm after each sum (post-norm), none at the end",
    wiring=Wiring(residual=True, norm="LN", norm_after=True),
)
_NO_RESIDUAL_1 = evolve(
    _GPT,
    "char_no_residual_1",
    "no residual connections, one block",
    wiring=Wiring(residual=False, norm="LN"),
    n_layers=1,
)
_NO_RESIDUAL_2 = evolve(_NO_RESIDUAL_1, "char_no_residual_2", "a second block", n_layers=2)
_NO_RESIDUAL_3 = evolve(_NO_RESIDUAL_2, "char_no_residual_3", "a third block", n_layers=3)

CHAR_ABLATIONS: dict[str, Stage] = by_id(
    _GPT, _NO_POSITIONS, _UNTIED, _POST_NORM, _NO_RESIDUAL_1, _NO_RESIDUAL_2, _NO_RESIDUAL_3
)
