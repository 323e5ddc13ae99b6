"""The ladder is the article's: its sizes, and one changed field from rung to rung."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lt_interp.article import article, article_stage
from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES, get_stage, stages_with_hook

PARAMETERS = {
    "01_bag_of_words": 1_052_672,
    "02_bow_position": 1_085_440,
    "03_bigram": 1_052_672,
    "03b_trigram": 1_576_960,
    "03b_fourgram": 2_101_248,
    "04_attention": 1_118_208,
    "05_attn_position": 1_150_976,
    "06_ffn": 1_282_688,
    "07_block": 1_283_456,
    "08_two_blocks": 1_481_216,
    "09_multi_head": 1_481_216,
    "10_moe": 1_745_152,
    "10_moe_gated": 1_745_152,
}


def test_the_stages_and_their_order() -> None:
    assert list(STAGES) == list(PARAMETERS)
    assert [stage["id"] for stage in article()["stages"]] == list(PARAMETERS)[:-1]


@pytest.mark.parametrize("stage_id", PARAMETERS)
def test_parameter_counts_are_the_articles(stage_id: str) -> None:
    with torch.device("meta"):
        model = StageModel(STAGES[stage_id].config)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[stage_id]
    assert article_stage(stage_id).get("params", PARAMETERS["10_moe"]) == PARAMETERS[stage_id]


def test_a_rung_differs_from_the_one_it_grows_from_by_one_field() -> None:
    grown = [stage for stage in STAGES.values() if stage.grows_from]
    assert len(grown) == len(STAGES) - 1
    for stage in grown:
        before = STAGES[stage.grows_from].config
        changed = [
            field.name
            for field in dataclasses.fields(ModelConfig)
            if getattr(before, field.name) != getattr(stage.config, field.name)
        ]
        assert len(changed) == 1, (stage.id, changed)


def test_every_stage_has_the_articles_measures() -> None:
    for stage in STAGES.values():
        config = stage.config
        assert (config.d_vocab, config.n_ctx, config.d_model) == (4096, 256, 128)
        assert config.d_mlp in (0, 512)
    assert STAGES["09_multi_head"].config.d_head == 64
    assert STAGES["08_two_blocks"].config.d_head == 128


def test_an_unknown_stage_names_the_nearest() -> None:
    assert get_stage("04_attention").id == "04_attention"
    with pytest.raises(InputError, match="09_multi_head"):
        get_stage("09_multihead")


def test_stages_with_hook() -> None:
    assert stages_with_hook("hook_embed") == list(STAGES)
    assert stages_with_hook("blocks.1.attn.hook_pattern") == list(STAGES)[-4:]
    assert stages_with_hook("blocks.0.mlp.hook_expert_indices") == ["10_moe", "10_moe_gated"]
    assert stages_with_hook("blocks.0.hook_resid_pre") == list(STAGES)[-5:]
