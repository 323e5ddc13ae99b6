"""The shipped pairs are what they are said to be, and 09 gets every one right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lt_interp.corpus.tokenizer import Tokenizer, default_tokenizer
from lt_interp.errors import InputError
from lt_interp.methods.activation_patching.choose_pairs import (
    choose_pairs,
    pair_margins,
    templates,
)
from lt_interp.methods.activation_patching.prompt_pairs import (
    PromptPair,
    group_pairs,
    read_pairs,
    shipped_pairs,
    write_pairs,
)
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.training.checkpoint import load


@pytest.fixture(scope="module")
def pairs() -> list[PromptPair]:
    return shipped_pairs()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return default_tokenizer()


def test_there_are_enough_of_every_kind(pairs: list[PromptPair]) -> None:
    assert len(pairs) >= 200
    assert len({(pair.clean, pair.corrupt) for pair in pairs}) == len(pairs)
    by_template = Counter(pair.template for pair in pairs)
    assert len(by_template) >= 8
    assert min(by_template.values()) >= 5
    by_kind = Counter(pair.kind for pair in pairs)
    assert set(by_kind) == {"names", "subject", "object", "feeling"}
    assert min(by_kind.values()) >= 30


def test_they_are_equally_long_one_token_apart_and_answered_by_one_token(
    pairs: list[PromptPair], tokenizer: Tokenizer
) -> None:
    groups, refused = group_pairs(pairs, tokenizer, n_ctx=256)
    assert refused == {}
    assert sum(len(group) for group in groups) == len(pairs)
    assert {len(group.differing) for group in groups} == {1}
    for group in groups:
        assert group.last not in group.differing
        assert set(group.roles) >= {"differing", "last"}
        for row, place in enumerate(group.place):
            pair = pairs[place]
            assert tokenizer.decode(group.clean[row].tolist()) == pair.clean
            assert tokenizer.decode(group.corrupt[row].tolist()) == pair.corrupt
            answers = [tokenizer.decode([i]) for i in group.answers[row].tolist()]
            assert answers == [pair.clean_answer, pair.corrupt_answer]


def test_every_pair_is_one_of_its_template(pairs: list[PromptPair]) -> None:
    every = {template.id: set(template.candidates()) for template in templates()}
    for pair in pairs:
        assert pair in every[pair.template]


def test_both_sides_of_an_answer_are_asked(pairs: list[PromptPair]) -> None:
    """No template's clean side is always the same answer, or 'clean' would be no mere label."""
    for template in {pair.template for pair in pairs}:
        answers = Counter(pair.clean_answer for pair in pairs if pair.template == template)
        assert len(answers) > 1
        assert max(answers.values()) <= 0.8 * sum(answers.values())


def test_stage_09_gets_every_pair_right_on_both_sides(pairs: list[PromptPair]) -> None:
    assert (pair_margins(load("09_multi_head"), pairs) > 0).all()


def test_margins_are_the_smaller_of_both_sides(tokenizer: Tokenizer) -> None:
    model = StageModel(ModelConfig(n_heads=2, d_model=8), tokenizer=tokenizer, seed=1)
    pair = shipped_pairs()[0]
    ids = [tokenizer.encode(text) for text in (pair.clean, pair.corrupt)]
    right, wrong = (tokenizer.encode(a)[0] for a in (pair.clean_answer, pair.corrupt_answer))
    with torch.no_grad():
        logits = [model(torch.tensor([one]))[0, -1] for one in ids]
    sides = [logits[0][right] - logits[0][wrong], logits[1][wrong] - logits[1][right]]
    unusable = PromptPair(**{**vars(pair), "corrupt": pair.corrupt + " more"})
    np.testing.assert_allclose(
        pair_margins(model, [pair, unusable]), [min(map(float, sides)), -np.inf], atol=1e-5
    )


def test_choosing_keeps_the_margin_the_number_and_repeats_itself() -> None:
    model = load("09_multi_head")
    few = [template for template in templates() if template.id in ("subject_hello", "object_liked")]
    asked = {"per_template": 3, "margin_nats": 3.0, "seed": 5, "sentences": few}
    chosen = choose_pairs(model, **asked)
    assert chosen == choose_pairs(model, **asked)
    assert Counter(pair.template for pair in chosen) == {"subject_hello": 3, "object_liked": 3}
    assert pair_margins(model, chosen).min() >= 3.0
    with pytest.raises(InputError, match="margin of 99 nats"):
        choose_pairs(model, margin_nats=99, sentences=few)


def test_pairs_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    write_pairs(file, shipped_pairs()[:3], chosen={"seed": 1})
    assert read_pairs(file) == shipped_pairs()[:3]
    assert len(file.read_text().splitlines()) == 9  # a pair a line
    file.write_text(json.dumps({"format_version": 1, "pairs": [{"clean": "a"}]}))
    with pytest.raises(InputError, match=r"pairs\[0\] must contain"):
        read_pairs(file)
