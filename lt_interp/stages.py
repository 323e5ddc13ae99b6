"""The ladder: every model of the article as one row, each grown from another by one field."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from lt_interp.errors import InputError
from lt_interp.model.config import PRE_NORM_RESIDUAL, Experts, ModelConfig
from lt_interp.model.hook_table import hook_table


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A rung of the ladder.

    Attributes:
        id: Its name, as in the article's notebooks.
        adds: What it adds to the stage it grows from.
        config: The model.
        grows_from: The id of that stage; `None` for the first.
    """

    id: str
    adds: str
    config: ModelConfig
    grows_from: str | None = None


def evolve(previous: Stage, id: str, adds: str, **change: Any) -> Stage:
    """The next rung: the previous one with one field of its model changed."""
    config = dataclasses.replace(previous.config, **change)
    return Stage(id=id, adds=adds, config=config, grows_from=previous.id)


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

STAGES: dict[str, Stage] = {
    stage.id: stage
    for stage in (_01, _02, _03, _03b3, _03b4, _04, _05, _06, _07, _08, _09, _10, _10g)
}


def get_stage(name: str) -> Stage:
    """The stage of that id.

    Raises:
        InputError: There is none; the message lists the nearest names.
    """
    if name in STAGES:
        return STAGES[name]
    near = difflib.get_close_matches(name, STAGES, n=3, cutoff=0.3) or list(STAGES)
    raise InputError(f"there is no stage {name!r}; nearest: {', '.join(near)}")


def stages_with_hook(name: str) -> list[str]:
    """Ids of the stages that have a hook, e.g. of `"blocks.1.attn.hook_pattern"`."""
    return [
        stage.id
        for stage in STAGES.values()
        if any(hook.name == name for hook in hook_table(stage.config))
    ]
