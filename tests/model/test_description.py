"""What a model says of itself is short, and true of the very model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lt_interp.model.config import Experts, ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES, get_stage

Build = Callable[..., StageModel]


def lines(model: StageModel) -> dict[str, str]:
    """The first word of every line after the first, and the rest of it."""
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in repr(model).splitlines()[1:]}


@pytest.mark.parametrize("stage_id", STAGES)
def test_a_few_lines_of_modest_width(stage_id: str) -> None:
    text = repr(StageModel(get_stage(stage_id).config, name=stage_id))
    assert 4 <= len(text.splitlines()) <= 6
    assert max(map(len, text.splitlines())) <= 100
    assert " object at 0x" not in text


@pytest.mark.parametrize("stage_id", STAGES)
def test_the_first_line_counts_the_parameters(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    n = sum(tensor.numel() for tensor in model.state_dict().values())
    first = repr(model).splitlines()[0]
    assert first == f"StageModel {model.cfg.model_name}, {n:,} parameters"


@pytest.mark.parametrize("stage_id", STAGES)
def test_a_part_is_named_where_it_can_be_hooked(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    said, hooks = repr(model), set(model.hook_dict)
    assert ("attention" in said) == ("blocks.0.attn.hook_pattern" in hooks)
    assert ("experts" in said) == ("blocks.0.mlp.hook_expert_indices" in hooks)
    assert ("feed-forward" in said) == ("blocks.0.mlp.hook_post" in hooks)
    assert ("residual stream" in said) == ("blocks.0.hook_resid_post" in hooks)
    assert ("and positions" in said) == ("hook_pos_embed" in hooks)
    assert ("a last " in said) == ("ln_final.hook_scale" in hooks)
    norms = any(name in said for name in ("LayerNorm", "RMSNorm"))
    assert norms == any(hook.endswith("ln1.hook_scale") for hook in hooks)


def test_numbers_are_those_of_the_config() -> None:
    config = ModelConfig(
        d_vocab=1500, n_ctx=77, d_model=60, n_layers=3, n_heads=5, d_mlp=90,
        experts=Experts(count=4, gated=True),
    )  # fmt: skip
    said = lines(StageModel(config))
    assert said["reads"] == "up to 77 tokens of a vocabulary of 1,500 (ids only, no tokenizer)"
    assert said["embeds"] == "tokens, 60 wide"
    assert said["blocks"] == (
        "3 of attention (5 heads, 12 wide) and 1 of 4 experts (90 neurons each, gated)"
    )
    assert said["joins"] == "a chain of parts"


def test_what_stands_in_place_of_blocks(small_model: Build) -> None:
    assert "mean" in lines(small_model("01_bag_of_words"))["predicts"]
    assert lines(small_model("03b_fourgram"))["predicts"] == "from the last 3 tokens, side by side"
    assert "blocks" not in lines(small_model("03_bigram"))
    assert "(character)" in lines(small_model("03_bigram"))["reads"]
