"""Formulas give what is really built, and the very tables that the articles print."""

from __future__ import annotations

import pytest

from lt_interp.article import article_parameters, article_stage
from lt_interp.methods.parameter_table import parameter_table
from lt_interp.methods.parameters import count, count_by_component
from lt_interp.stages import STAGES, get_stage

from .conftest import built_shapes


def counts(stage_id: str) -> dict[str, int]:
    return {line.name: line.parameters for line in parameter_table(get_stage(stage_id).config)}


@pytest.mark.parametrize("stage_id", STAGES)
def test_formulas_count_what_is_built(stage_id: str) -> None:
    config = STAGES[stage_id].config
    lines, shapes = counts(stage_id), built_shapes(config)
    assert lines["total"] == count(shapes)
    n = config.depth
    built = count_by_component(shapes)
    assert n * lines.get("attention", 0) == built.get("attention", 0)
    for part in ("feed-forward", "experts"):
        both = lines.get(part, 0) + lines.get(f"{part} biases", 0)
        assert n * both == built.get(part, 0)
    assert n * lines.get("router", 0) == built.get("router", 0)
    norms = n * lines.get("norms", 0) + lines.get("final norm", 0)
    assert norms == built.get("LayerNorm", 0)


@pytest.mark.parametrize("stage_id", STAGES)
def test_numbers_are_the_formula_filled_in_and_come_to_the_count(stage_id: str) -> None:
    config = STAGES[stage_id].config
    for line in parameter_table(config):
        if line.formula == "tied":
            assert line.parameters == 0
            continue
        python = line.numbers.replace(",", "").replace("×", "*")
        assert eval(python) == line.parameters, line.name
        if line.formula not in ("sum", "n_layers × one block"):
            sizes = {f: getattr(config, f) for f in ("d_vocab", "n_ctx", "d_model", "d_mlp")}
            assert eval(line.formula.replace("×", "*"), sizes) == line.parameters


def test_the_numpy_gpts_table_is_its_articles() -> None:
    # the table under "Let's count every parameter in our model"
    assert counts("byte_gpt") == {
        "token embedding": 16_384,
        "position embedding": 8_192,
        "attention": 16_384,
        "feed-forward": 33_024,
        "norms": 128,
        "one block": 49_536,
        "all blocks": 4 * 49_536,
        "final norm": 64,
        "unembedding": 0,
        "total": 4 * 49_536 + 24_640,
    }
    assert counts("byte_gpt")["total"] == 222_784
    published = article_parameters("byte_gpt")
    assert published.items() <= counts("byte_gpt").items()
    assert published["total"] == 222_784


def test_the_four_layer_gpt_has_the_biases_that_its_articles_formula_leaves_out() -> None:
    ours, published = counts("gpt_learned"), article_parameters("gpt_learned")
    assert published["total"] == 5_841_408
    assert ours["total"] == 5_846_528
    more = {name: ours[name] - n for name, n in published.items() if ours[name] != n}
    a_block = 1024 + 256
    assert more == {
        "feed-forward biases": a_block,
        "one block": a_block,
        "all blocks": 4 * a_block,
        "total": 4 * a_block,
    }
    assert published["one block"] == 787_456
    assert published["all blocks"] == 3_149_824


def test_positions_inside_attention_have_no_parameters() -> None:
    without = counts("gpt_learned")["total"] - 512 * 256
    assert counts("gpt_alibi")["total"] == counts("gpt_rope")["total"] == without


def test_the_ablations_are_of_about_a_million_parameters_and_untying_costs_a_matrix() -> None:
    tied, untied = counts("char_gpt"), counts("char_untied")
    assert round(tied["total"] / 1e6, 1) == 1.1
    assert untied["total"] - tied["total"] == 128 * 64 + 64
    assert article_parameters("char_gpt") == {}


def test_a_rung_of_the_ladder_has_its_articles_total() -> None:
    assert article_parameters("06_ffn") == {"total": article_stage("06_ffn")["params"]}
    assert article_parameters("06_ffn")["total"] == counts("06_ffn")["total"]
