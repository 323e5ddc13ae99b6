"""Every token is scored once, exactly, for the story it stands in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.evaluation import evaluate
from lt_interp.model.stage_model import StageModel
from lt_interp.training import validation

from .conftest import STORIES, WIDTH, tiny


def constant_model(tokenizer: ByteTokenizer, logits: dict[str, float]) -> StageModel:
    """A model that predicts the same at every position: the planted logits, 0 for other bytes."""
    model = StageModel(tiny("03_bigram"), tokenizer=tokenizer)
    with torch.no_grad():
        model.unembed.W_U.zero_()
        model.unembed.b_U.zero_()
        for character, logit in logits.items():
            model.unembed.b_U[ord(character)] = logit
    return model


def owners(stories: list[str], width: int) -> np.ndarray:
    """The story of every token of every row, counted one byte at a time."""
    joined = [number for number, story in enumerate(stories) for _ in range(len(story) + 1)]
    whole = len(joined) // width * width
    return np.array(joined[:whole]).reshape(-1, width)


@pytest.mark.parametrize("stage", ["01_bag_of_words", "03b_fourgram", "05_attn_position", "10_moe"])
def test_losses_are_cross_entropies_summed_by_story(
    stage: str, tokenizer: ByteTokenizer, rows: Rows
) -> None:
    model = StageModel(tiny(stage), tokenizer=tokenizer, seed=1)
    tokens = torch.from_numpy(rows.tokens.astype(np.int64))
    with torch.no_grad():
        logits = model(tokens[:, :-1]).double()
    flat = nn.functional.cross_entropy(
        logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
    )
    losses = flat.reshape(len(tokens), -1).numpy()
    story = owners(STORIES, WIDTH)[:, 1:]

    found = evaluate(model, rows, seed=0)

    assert_allclose(found.loss_nats, losses.mean(), rtol=1e-6)
    assert_allclose(found.perplexity, math.exp(losses.mean()), rtol=1e-6)
    assert_allclose(found.perplexity_last_token, math.exp(losses[:, -1].mean()), rtol=1e-6)
    assert found.n_tokens == losses.size == rows.n_rows * (WIDTH - 1)
    assert found.n_stories == len(np.unique(story))
    for number in range(len(STORIES)):
        assert found.story_tokens[number] == (story == number).sum()
        assert_allclose(found.story_loss_nats[number], losses[story == number].sum(), rtol=1e-5)


def test_planted_stories_have_their_planted_losses(
    tokenizer: ByteTokenizer, rows_of: Callable[..., Rows]
) -> None:
    # With logit log(255) for "a" and 0 for the 255 other bytes, "a" has probability 1/2.
    model = constant_model(tokenizer, {"a": math.log(255)})
    rows = rows_of(["a" * 9, "b" * 19, "a" * 4], width=11)  # 35 tokens: 3 rows, 2 tokens dropped
    found = evaluate(model, rows, seed=0)
    a, other = math.log(2), math.log(510)
    # 33 tokens stay: story 0 has 9 a and eos (its first a is unscored), story 1 has 19 b and eos
    # (of which 2 begin a row: positions 11 and 22), story 2 has 3 a
    assert_array_equal(found.story_tokens, [9, 18, 3])
    assert_allclose(found.story_loss_nats, [8 * a + other, 18 * other, 3 * a], rtol=1e-5)
    assert_allclose(found.last_loss_nats, [other, other, a], rtol=1e-5)
    assert_array_equal(found.last_story, [1, 1, 2])


def test_model_that_knows_nothing_has_the_vocabulary_as_its_perplexity(
    tokenizer: ByteTokenizer, rows: Rows
) -> None:
    found = evaluate(constant_model(tokenizer, {}), rows, seed=0)
    assert_allclose(found.perplexity, 256, rtol=1e-5)
    assert_allclose(found.perplexity_interval, (256, 256), rtol=1e-5)
    assert_allclose(found.perplexity_last_token_interval, (256, 256), rtol=1e-5)


def test_interval_encloses_the_estimate_and_follows_the_seed(
    tokenizer: ByteTokenizer, rows: Rows
) -> None:
    model = StageModel(tiny("04_attention"), tokenizer=tokenizer)
    found = evaluate(model, rows, seed=0)
    low, high = found.perplexity_interval
    assert low < found.perplexity < high
    assert evaluate(model, rows, seed=0).perplexity_interval == (low, high)
    assert evaluate(model, rows, seed=1).perplexity_interval != (low, high)


def test_one_story_has_no_interval(tokenizer: ByteTokenizer, rows_of: Callable[..., Rows]) -> None:
    found = evaluate(constant_model(tokenizer, {}), rows_of(["a" * 50]), seed=0)
    assert found.n_stories == 1
    assert found.perplexity_interval is None
    assert found.perplexity_last_token_interval is None


def test_batches_do_not_matter_and_are_reported(
    tokenizer: ByteTokenizer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StageModel(tiny("07_block"), tokenizer=tokenizer)
    whole = evaluate(model, rows, seed=0)
    monkeypatch.setattr(validation, "BATCH_ROWS", 7)
    seen: list[tuple[int, int, str]] = []
    pieces = evaluate(model, rows, seed=0, progress=lambda *args: seen.append(args))
    assert_allclose(pieces.story_loss_nats, whole.story_loss_nats, rtol=1e-5)
    assert_array_equal(pieces.story_tokens, whole.story_tokens)
    assert [done for done, _, _ in seen] == [*range(7, rows.n_rows, 7), rows.n_rows]
    assert {total for _, total, _ in seen} == {rows.n_rows}


def test_rows_of_another_tokenizer_are_refused(rows: Rows) -> None:
    other = build_character(STORIES, corpus_sha256="0" * 64)
    config = dataclasses.replace(tiny("03_bigram"), d_vocab=other.d_vocab)
    with pytest.raises(InputError, match="another tokenizer"):
        evaluate(StageModel(config, tokenizer=other), rows, seed=0)


def test_rows_wider_than_the_context_are_refused(
    tokenizer: ByteTokenizer, rows_of: Callable[..., Rows]
) -> None:
    model = StageModel(tiny("02_bow_position"), tokenizer=tokenizer)
    with pytest.raises(InputError, match="width=33"):
        evaluate(model, rows_of(STORIES, width=WIDTH + 1), seed=0)
