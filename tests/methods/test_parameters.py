"""Counts agree with the article's, part by part, and with the file they are read from."""

from __future__ import annotations

import pytest

from lt_interp.article import article, article_stage
from lt_interp.methods.parameters import count, count_by_component
from lt_interp.stages import STAGES

from .conftest import built_shapes


@pytest.mark.parametrize("stage", [stage["id"] for stage in article()["stages"]])
def test_every_stage_has_the_articles_number_of_parameters(stage: str) -> None:
    assert count(built_shapes(STAGES[stage].config)) == article_stage(stage)["params"]


def test_components_of_the_largest_stage_by_hand() -> None:
    # two blocks: 4 matrices 128 x 128; 2 experts of 128 x 512 + 512 + 512 x 128 + 128; 2 norms
    assert count_by_component(built_shapes(STAGES["10_moe"].config)) == {
        "token embedding": 4096 * 128,
        "position embedding": 256 * 128,
        "attention": 2 * 4 * 128 * 128,
        "experts": 2 * 2 * (2 * 128 * 512 + 512 + 128),
        "router": 2 * 2 * 128,
        "LayerNorm": 5 * 2 * 128,
        "unembedding": 128 * 4096 + 4096,
    }


def test_absent_components_are_not_listed() -> None:
    assert list(count_by_component(built_shapes(STAGES["06_ffn"].config))) == [
        "token embedding",
        "position embedding",
        "attention",
        "feed-forward",
        "unembedding",
    ]
