"""The ladder: every model of the article as one row, each grown from another by one field."""

from __future__ import annotations

from lt_interp.model.config import PRE_NORM_RESIDUAL, Experts, ModelConfig
from lt_interp.stages.stage import Stage, by_id, evolve

# The brownie: average everything.
_01 = Stage(id="01_bag_of_words", adds="embed, average, unembed", config=ModelConfig(average=True))
_02 = evolve(_01, "02_bow_position", "position embeddings", positions="learned")

# The fresh start: predict at every position, from that position alone.
_03 = evolve(_01, "03_bigram", "start over: embed, unembed at every position", average=False)
_03b3 = evolve(_03, "03b_trigram", "window of 2 tokens, embeddings concatenated", window=2)
_03b4 = evolve(_03b3, "03b_fourgram", "window of 3 tokens, embeddings concatenated", window=3)

# The evolution: one part at a time.
_04 = evolve(_03, "04_attention", "one causal attention head, no residual, no position", n_heads=1)
_05 = evolve(_04, "05_attn_position", "learned position embeddings", positions="learned")
_06 = evolve(_05, "06_ffn", "feed-forward layer 128-512-128, ReLU", d_mlp=512)
_07 = evolve(
    _06,
    "07_block",
    "residual connections and LayerNorm (pre-norm, final norm)",
    wiring=PRE_NORM_RESIDUAL,
)
_08 = evolve(_07, "08_two_blocks", "a second block", n_layers=2)
_09 = evolve(_08, "09_multi_head", "two heads a block, d_head 64", n_heads=2)

# The surprise, as the article built it, and as its router would have learned.
_10 = evolve(
    _09,
    "10_moe",
    "two expert FFNs a block, top-1 router without bias",
    experts=Experts(count=2, gated=False),
)
_10g = evolve(
    _10,
    "10_moe_gated",
    "the chosen expert's output times its router probability",
    experts=Experts(count=2, gated=True),
)

LADDER: dict[str, Stage] = by_id(
    _01, _02, _03, _03b3, _03b4, _04, _05, _06, _07, _08, _09, _10, _10g
)
