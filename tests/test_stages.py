"""Every family is its article's: sizes, measures, and what changes from row to row."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lt_interp.article import article, article_stage
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import named_tokenizer
from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import FAMILIES, LADDER, STAGES, get_stage, stages_with_hook

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


def changed_fields(stage_id: str) -> set[str]:
    """Fields of its model in which a stage differs from the one it grows from."""
    now, before = STAGES[stage_id].config, STAGES[STAGES[stage_id].grows_from].config
    names = [field.name for field in dataclasses.fields(ModelConfig)]
    return {name for name in names if getattr(before, name) != getattr(now, name)}


def test_the_rungs_and_their_order() -> None:
    assert list(LADDER) == list(PARAMETERS) == list(STAGES)[: len(PARAMETERS)]
    assert [stage["id"] for stage in article()["stages"]] == list(PARAMETERS)[:-1]


@pytest.mark.parametrize("stage_id", PARAMETERS)
def test_parameter_counts_are_the_articles(stage_id: str) -> None:
    with torch.device("meta"):
        model = StageModel(STAGES[stage_id].config)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[stage_id]
    assert article_stage(stage_id).get("params", PARAMETERS["10_moe"]) == PARAMETERS[stage_id]


def test_a_rung_differs_from_the_one_it_grows_from_by_one_field() -> None:
    grown = [stage for stage in LADDER.values() if stage.grows_from]
    assert len(grown) == len(LADDER) - 1
    for stage in grown:
        assert len(changed_fields(stage.id)) == 1, stage.id


def test_every_rung_has_the_articles_measures() -> None:
    for stage in LADDER.values():
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
    further = [s for s in STAGES if s not in LADDER and s != "char_no_residual_1"]
    assert stages_with_hook("blocks.1.attn.hook_pattern") == [*list(LADDER)[-4:], *further]
    assert stages_with_hook("blocks.0.mlp.hook_expert_indices") == ["10_moe", "10_moe_gated"]
    assert set(stages_with_hook("blocks.0.hook_resid_pre")) == {
        *list(LADDER)[-5:], *(s for s in further if not s.startswith("char_no_residual"))
    }  # fmt: skip
    assert stages_with_hook("blocks.0.attn.hook_rot_q") == ["gpt_rope"]
    assert stages_with_hook("blocks.3.mlp.hook_pre_linear") == ["byte_gpt"]


def test_the_other_families_have_their_articles_measures() -> None:
    byte, char, gpt = (get_stage(n).config for n in ("byte_gpt", "char_gpt", "gpt_learned"))
    assert (byte.d_model, byte.n_heads, byte.n_layers, byte.d_mlp) == (64, 4, 4, 172)
    assert (byte.d_vocab, byte.n_ctx, byte.d_head) == (256, 128, 16)
    assert (char.d_model, char.n_heads, char.n_layers, char.d_mlp) == (128, 8, 5, 512)
    assert (gpt.d_model, gpt.n_heads, gpt.n_layers, gpt.d_mlp) == (256, 4, 4, 1024)
    assert (gpt.d_vocab, gpt.n_ctx, gpt.d_head, gpt.dropout) == (10_000, 512, 64, 0.1)
    assert all(config.tied and config.positions == "learned" for config in (byte, char, gpt))


@pytest.mark.parametrize(
    ("stage_id", "fields"),
    [
        ("char_no_positions", {"positions"}),
        ("char_untied", {"tied"}),
        ("char_post_norm", {"wiring"}),
        ("char_no_residual_1", {"wiring", "n_layers"}),
        ("char_no_residual_2", {"n_layers"}),
        ("char_no_residual_3", {"n_layers"}),
        ("gpt_alibi", {"positions"}),
        ("gpt_rope", {"positions"}),
    ],
)
def test_a_variant_differs_by_what_it_is_named_for(stage_id: str, fields: set[str]) -> None:
    assert changed_fields(stage_id) == fields


def test_rows_are_listed_once_under_the_family_they_say() -> None:
    listed = [(name, id) for name, family in FAMILIES.items() for id in family]
    assert listed == [(stage.family, id) for id, stage in STAGES.items()]
    assert all(stage.id == id for id, stage in STAGES.items())
    for stage in STAGES.values():
        assert stage.grows_from is None or stage.grows_from in FAMILIES[stage.family]
        begins = stage.adds.startswith(("start over", "embed, average"))
        assert begins == (stage.grows_from is None or stage.id == "03_bigram")


def test_a_vocabulary_is_that_of_the_stages_tokenizer() -> None:
    stories = open_corpus("embedded")
    for stage in STAGES.values():
        tokenizer = named_tokenizer(stage.tokenizer, stories)
        config = stage.config
        assert (config.d_vocab, config.eos_id) == (tokenizer.d_vocab, tokenizer.eos_id)
