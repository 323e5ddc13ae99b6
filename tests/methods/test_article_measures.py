"""Each measurement behind the article's page on data whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.methods.article.groups import (
    ALL,
    GROUPS,
    NAMES,
    POSITION,
    TOKEN_CLASS,
    draw_sample,
    seen_before,
)
from lt_interp.methods.article.predictions import GIRL, TRANSITIONS, predictions
from lt_interp.methods.article.response import draw_beginnings, response
from lt_interp.methods.article.scoring import score, score_last
from lt_interp.methods.article.stability import GRADIENT, LOSS, stability
from lt_interp.methods.article.summaries import names_after, responses
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.token_classes import token_classes
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

from .conftest import corpus_of, tiny

STORY = "Lily saw Tim. Tim had a dog named Spot. Lily loved the dog named Spot and Tim. The end."


def no_share(done: int, n: int) -> None:
    assert 0 <= done <= n


def shipped_rows(n_stories: int = 12, width: int = 17) -> Rows:
    stories = [f"{STORY} {STORY[: 7 * n]}" for n in range(n_stories)]
    return open_rows(corpus_of(stories), default_tokenizer(), width=width)


# Groups


def test_seen_before_looks_back_in_the_row_and_story_only() -> None:
    tokens = np.array([[5, 6, 5, 5, 6], [6, 6, 7, 8, 7]])
    story = np.array([[0, 0, 0, 1, 1], [1, 1, 1, 1, 1]])
    seen = [[False, False, True, False, False], [False, True, False, False, True]]
    assert seen_before(tokens, story).tolist() == seen


def test_position_is_counted_from_the_beginning_of_the_story(
    rows_of: Callable[..., Rows], tokenizer: ByteTokenizer
) -> None:
    rows = rows_of(["a" * 50, "b" * 200, "c" * 20])
    sample = draw_sample(rows, tokenizer, seed=0)
    starts = rows.story_starts
    for row in range(rows.n_rows):
        for column in range(1, rows.width):
            place = row * rows.width + column
            story = int(np.searchsorted(starts, place, side="right") - 1)
            index = place - starts[story]
            expected = 0 if index < 32 else 1 if index < 128 else 2
            assert sample.story[row, column - 1] == story
            assert sample.classes[POSITION][row, column - 1] == expected


def test_rows_are_drawn_by_seed_without_replacement(rows: Rows, tokenizer: ByteTokenizer) -> None:
    one, same, other = (draw_sample(rows, tokenizer, seed=seed, max_rows=10) for seed in (0, 0, 1))
    assert np.array_equal(one.tokens, same.tokens)
    assert not np.array_equal(one.tokens, other.tokens)
    assert len(one.tokens) == 10
    assert len(draw_sample(rows, tokenizer, seed=0, max_rows=10**6).tokens) == rows.n_rows


# Scoring


def test_losses_by_class_add_up_to_the_evaluation(rows: Rows, tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("05_attn_position"), tokenizer=tokenizer, seed=3)
    sample = draw_sample(rows, tokenizer, seed=0)
    names = np.zeros(256, dtype=bool)
    found = pd.DataFrame(score(model, sample, named=None, names=names, share=no_share)["losses"])
    evaluation = evaluate(model, rows, seed=0)
    for by in (ALL, TOKEN_CLASS, POSITION):
        sums = found[found["by"] == by].groupby("story")[["loss_nats", "n_tokens"]].sum()
        assert_allclose(sums["loss_nats"], evaluation.story_loss_nats[sums.index], rtol=1e-5)
        assert sums["n_tokens"].tolist() == evaluation.story_tokens[sums.index].tolist()
    assert found[found["by"] == NAMES].empty  # bytes are no names
    last = pd.DataFrame(score_last(model, rows))
    assert last["n_tokens"].sum() == rows.n_rows
    perplexity = np.exp(last["loss_nats"].sum() / rows.n_rows)
    assert_allclose(perplexity, evaluation.perplexity_last_token, rtol=1e-5)


def test_names_are_split_by_whether_they_were_said() -> None:
    tokenizer, rows = default_tokenizer(), shipped_rows()
    sample = draw_sample(rows, tokenizer, seed=0)
    name = GROUPS[TOKEN_CLASS].index("name")
    is_name = sample.classes[TOKEN_CLASS] == name
    assert is_name.any()
    assert np.array_equal(sample.classes[NAMES] >= 0, is_name)
    assert set(sample.classes[NAMES][is_name].tolist()) == {0, 1}


def test_probability_of_a_name_after_named() -> None:
    """A model of fixed probabilities: every context gives the mass that was put on names."""
    tokenizer, rows = default_tokenizer(), shipped_rows()
    names = np.array(token_classes(tokenizer)) == "name"
    model = fixed(torch.where(torch.from_numpy(names), 0.7 / names.sum(), 0.3 / (~names).sum()))
    named = tokenizer.encode(" named")[0]
    sample = draw_sample(rows, tokenizer, seed=0)
    found = pd.DataFrame(
        score(model, sample, named=named, names=names, share=no_share)["after_named"]
    )
    assert found["n_tokens"].sum() == (sample.tokens[:, :-1] == named).sum() > 0
    assert_allclose(found["probability_of_a_name"] / found["n_tokens"], 0.7, rtol=1e-5)


def fixed(probabilities: torch.Tensor, name: str = "03_bigram") -> StageModel:
    """A bigram over the shipped vocabulary whose prediction never changes."""
    config = ModelConfig(d_model=4, n_ctx=64)
    model = StageModel(config, tokenizer=default_tokenizer(), name=name)
    with torch.no_grad():
        model.embed.W_E.zero_()
        model.unembed.b_U.copy_(probabilities.double().log())
    return model


# Predictions of the n-grams


def test_ngram_predictions_are_the_models_own() -> None:
    tokenizer = default_tokenizer()
    model = StageModel(ModelConfig(d_model=8), tokenizer=tokenizer, name="03_bigram", seed=1)
    rows = pd.DataFrame(predictions(model))
    assert len(rows) == 4 + len(TRANSITIONS)
    assert rows["reason"].isna().all() if "reason" in rows else True
    lily = rows[(rows["prompt"] == GIRL) & (rows["token"] == " Lily")].iloc[0]
    with torch.no_grad():
        chances = model(" named")[0, -1].softmax(dim=-1)  # all that a bigram sees
    assert_allclose(lily["probability"], float(chances[tokenizer.encode(" Lily")[0]]), rtol=1e-5)
    assert lily["rank"] == 1 + int((chances > lily["probability"] + 1e-9).sum())
    assert lily["article_probability"] == 0.320


def test_a_tokenizer_without_the_words_gives_the_reason(tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("03_bigram"), tokenizer=tokenizer, name="03_bigram")
    rows = predictions(model)
    assert all("tokens, not one" in row["reason"] for row in rows)
    assert not any("probability" in row for row in rows)


# Who answers the prompt


def test_a_bigram_gains_nothing_from_the_prompt_and_a_bag_does(
    rows_of: Callable[..., Rows], tokenizer: ByteTokenizer
) -> None:
    rows = rows_of([letter * 60 for letter in "abcdefghijklmnop"])
    beginnings = draw_beginnings(rows, seed=0)
    assert len(beginnings.story) == 16
    of_bigram, of_bag = (
        pd.DataFrame(response(StageModel(tiny(stage), tokenizer=tokenizer), beginnings))
        for stage in ("03_bigram", "01_bag_of_words")
    )
    assert_allclose(of_bigram["own_nats"], of_bigram["other_nats"], rtol=1e-6)
    assert (of_bag["own_nats"] - of_bag["other_nats"]).abs().max() > 1e-3


def test_only_the_prompt_is_exchanged(rows: Rows) -> None:
    beginnings = draw_beginnings(rows, seed=2)
    n = beginnings.n_prompt
    assert np.array_equal(beginnings.own[:, n:], beginnings.other[:, n:])
    assert np.array_equal(np.sort(beginnings.own[:, :n], 0), np.sort(beginnings.other[:, :n], 0))
    flat = rows.tokens.reshape(-1)
    for story, tokens in zip(beginnings.story, beginnings.own, strict=True):
        start = rows.story_starts[story]
        assert np.array_equal(tokens, flat[start : start + len(tokens)])


def test_one_story_has_no_other_to_take_a_prompt_from(
    rows_of: Callable[..., Rows], tokenizer: ByteTokenizer
) -> None:
    beginnings = draw_beginnings(rows_of(["a" * 200]), seed=0)
    assert response(StageModel(tiny("03_bigram"), tokenizer=tokenizer), beginnings) == []


# Stability of training


def log(stage: str, loss: np.ndarray, norm: np.ndarray) -> pd.DataFrame:
    steps = 50 * (1 + np.arange(len(loss)))
    return pd.DataFrame(
        {"stage": stage, "step": steps, "train_loss_nats": loss, "gradient_norm": norm}
    )


@pytest.mark.parametrize("rough_first", [True, False])
def test_the_rough_run_is_found_rough(rough_first: bool) -> None:
    rng = np.random.default_rng(0)
    even, ones = np.linspace(4, 2, 60), np.ones(60)
    rough, swinging = even + rng.normal(0, 0.1, 60), np.exp(rng.normal(0, 0.3, 60))
    runs = [(rough, swinging), (even, ones)]
    before, now = runs if rough_first else runs[::-1]
    table = pd.concat([log("06_ffn", *before), log("07_block", *now)])
    found = stability(table, [("07_block", "06_ffn")], seed=0).set_index("measure")
    for measure in (LOSS, GRADIENT):
        row = found.loc[measure]
        assert row["high"] < 0 if rough_first else row["low"] > 0
        smooth = row["value"] if rough_first else row["previous_value"]
        assert smooth == pytest.approx(0, abs=1e-12)


def test_what_a_batch_does_to_both_cancels() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 0.2, 60)
    runs = [log(s, 3 + shared, np.exp(shared)) for s in ("06_ffn", "07_block")]
    found = stability(pd.concat(runs), [("07_block", "06_ffn")], seed=0)
    assert (found[["difference", "low", "high"]] == 0).all(axis=None)
    assert (found["value"] > 0).all()


def test_short_logs_say_nothing() -> None:
    runs = [log(s, np.ones(5), np.ones(5)) for s in ("06_ffn", "07_block")]
    assert stability(pd.concat(runs), [("07_block", "06_ffn")], seed=0).empty


def test_the_prompt_is_worth_what_the_other_one_costs_more() -> None:
    stories = pd.DataFrame({
        "stage": "a", "story": [0, 1, 2], "own_nats": [2.0, 4.0, 3.0],
        "other_nats": [6.0, 8.0, 7.0], "n_tokens": [2, 2, 2],
    })  # fmt: skip
    row = responses(stories, seed=0).iloc[0]
    assert (row["own_nats"], row["other_nats"]) == pytest.approx((1.5, 3.5))
    assert (row["benefit_nats"], row["low"], row["high"]) == pytest.approx((2, 2, 2))
    assert (row["n_tokens"], row["n_stories"]) == (6, 3)


def test_names_after_named_are_a_mean_over_their_tokens() -> None:
    stories = pd.DataFrame({
        "stage": "a", "story": [0, 1], "probability_of_a_name": [1.5, 0.3], "n_tokens": [2, 1],
    })  # fmt: skip
    row = names_after(stories, seed=0).iloc[0]
    assert row["probability"] == pytest.approx(0.6)
    assert row["low"] <= 0.6 <= row["high"]
    assert (row["n_tokens"], row["n_stories"]) == (3, 2)
