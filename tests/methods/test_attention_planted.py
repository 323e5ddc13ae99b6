"""Heads built by hand are found for what they are, and a head that does nothing is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from lt_interp.corpus.windows import Rows
from lt_interp.methods.attention import attention
from lt_interp.methods.attention.heads import Scored, head_rows, uniform
from lt_interp.methods.attention.sample import draw_sample
from lt_interp.methods.attention.scores import STORY_SCORES, UNTESTED, query_scores, sums_by_unit
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

from .conftest import tiny

SHARP = 15.0


def reading(offset: int, tokenizer) -> StageModel:
    """A stage with one head that reads the token `offset` places back, by position alone."""
    config = dataclasses.replace(tiny("05_attn_position"), d_model=32)
    model = StageModel(config, tokenizer=tokenizer, name="05_attn_position")
    attn = model.blocks[0].attn
    with torch.no_grad():
        model.embed.W_E.zero_()
        model.pos_embed.W_pos.copy_(torch.eye(32))
        attn.W_K[0] = SHARP * torch.eye(32)
        attn.W_Q[0] = SHARP * torch.eye(32).roll(-offset, dims=1)
        attn.W_Q[0, :offset] = 0  # nothing stands so far before these
    return model


def scores_of(model: StageModel, rows: Rows) -> pd.DataFrame:
    return attention(model, rows, seed=0).tables["head_scores"].set_index("score")


def test_a_previous_token_head_is_found(tokenizer, rows: Rows) -> None:
    result = attention(reading(1, tokenizer), rows, seed=0)
    scores = result.tables["head_scores"].set_index("score")
    assert scores.loc["previous", "value"] > 0.999
    assert scores.loc["previous", "low"] > 0.999
    assert scores.loc["previous", "q"] < 0.05
    assert scores.loc["previous", "untrained_high"] < 0.2
    assert scores.loc["mean_distance_tokens", "value"] == pytest.approx(1, abs=1e-3)
    assert scores.loc["entropy_nats", "value"] < 0.01
    others = ["current", "induction", "duplicate", "self_largest", "self_over_half"]
    assert (scores.loc[others, "value"] < 0.001).all()
    head = result.tables["heads"].iloc[0]
    assert (head["kind"], head["places"]) == ("mostly", "previous")


def test_heads_that_look_so_far_back_anyway_are_told_from_induction(tokenizer, rows: Rows) -> None:
    # They reach the place of the earlier copy in a period, and gain nothing from repetition.
    period = draw_sample(rows, width=32, n_rows=160, eos_id=0, seed=0).repeats[-1].period
    for offset, name in ((period - 1, "induction"), (period, "duplicate")):
        result = attention(reading(offset, tokenizer), rows, seed=0)
        head = result.tables["heads"].iloc[0]
        assert (head["kind"], head["places"]) == ("mostly", name)
        scores = result.tables["head_scores"].set_index("score")
        assert scores.loc[name, "n_sequences"] == 64
        assert pd.isna(scores.loc[name, "n_stories"])
        row = result.tables["repetition"].query(
            "score == @name and period_tokens == @period"
        ).iloc[0]  # fmt: skip
        assert row["value"] > 0.999
        assert (row["difference"], row["p"]) == (0, 1)


def test_a_head_that_finds_earlier_copies_is_told_by_what_they_add(tokenizer, rows: Rows) -> None:
    # Ids as one-hot queries and keys, no positions: the token itself and its copies, half each.
    config = dataclasses.replace(tiny("04_attention"), d_model=256, n_heads=1)
    model = StageModel(config, tokenizer=tokenizer, name="04_attention")
    with torch.no_grad():
        model.embed.W_E.copy_(torch.eye(256))
        model.blocks[0].attn.W_Q[0] = 40 * torch.eye(256)
        model.blocks[0].attn.W_K[0] = 40 * torch.eye(256)
    result = attention(model, rows, seed=0)
    copies = result.tables["repetition"].query("score == 'duplicate'")
    assert copies["value"].to_numpy() == pytest.approx(0.5, abs=1e-4)
    assert copies["unrepeated"].to_numpy() == pytest.approx(0, abs=1e-4)
    assert (copies["q"] < 0.05).all()
    scores = result.tables["head_scores"].set_index("score")["value"]
    assert scores["same_token"] > 0.999
    assert scores["current"] < 0.8  # copies in the story share it
    place = result.tables["by_position"].query("score == 'current'")["value"].to_numpy()
    assert (np.diff(place) < 0).all()


def test_a_uniform_head_is_the_baseline_to_the_last_digit(tokenizer, rows: Rows) -> None:
    model = StageModel(tiny("05_attn_position"), tokenizer=tokenizer, name="05_attn_position")
    torch.nn.init.zeros_(model.blocks[0].attn.W_Q)
    result = attention(model, rows, seed=0)
    scores = result.tables["head_scores"].set_index("score")
    assert (scores["value"] == scores["uniform"]).all()
    assert (scores[["difference_from_uniform", "difference_low", "difference_high"]] == 0).all(
        axis=None
    )
    tested = scores.drop(list(UNTESTED))
    assert (tested["p"] == 1).all()
    assert (tested["q"] == 1).all()
    assert result.tables["heads"].iloc[0]["places"] == ""


def test_only_scores_with_a_null_that_chance_can_reach_are_tested(tokenizer, rows: Rows) -> None:
    model = StageModel(tiny("04_attention"), tokenizer=tokenizer, name="04_attention", seed=1)
    scores = scores_of(model, rows)
    assert scores.index[scores["p"].isna()].tolist() == list(UNTESTED)
    assert scores["q"].isna().equals(scores["p"].isna())
    # A head of random weights has less entropy than the uniform pattern, and so has any other.
    assert scores.loc["entropy_nats", "difference_high"] < 0


def null_scores(rng: np.random.Generator, n_rows: int, n_heads: int, width: int) -> Scored:
    """Heads whose keys are exchangeable, but with strong likings that last for a whole story.

    Each story draws a weight for every key and every query of it reads by those weights, so every
    score is the uniform pattern's in expectation, and queries of one story agree with each other.
    """
    liking = torch.from_numpy(rng.lognormal(0, 1, size=(1, n_rows, n_heads, 1, width))).float()
    pattern = liking.expand(-1, -1, -1, width, -1).tril()
    pattern = pattern / pattern.sum(dim=-1, keepdim=True)
    tokens = torch.from_numpy(rng.integers(0, 8, size=(n_rows, width)))
    unit = np.repeat(np.arange(n_rows)[:, None], width - 1, axis=1)
    trained, flat = (
        sums_by_unit(query_scores(one, tokens), unit, n_rows) for one in (pattern, uniform(tokens))
    )
    counts = np.full(n_rows, width - 1)
    return Scored(
        names=STORY_SCORES, trained=trained, untrained=trained, uniform=flat, counts=counts
    )


@pytest.mark.slow
def test_false_positives_on_null_data_stay_at_their_rate() -> None:
    rng = np.random.default_rng(0)
    frames, naive = [], []
    for trial in range(150):
        scored = null_scores(rng, n_rows=100, n_heads=4, width=24)
        frame = pd.DataFrame(head_rows(scored, seed=trial, unit="stories"))
        frames.append(frame.dropna(subset=["p"]))
        # A test that takes queries as independent sees 23 times the stories.
        difference = (scored.trained - scored.uniform)[:, 0, :, 0] / 23
        error = difference.std(axis=0) / np.sqrt(100 * 23)
        naive.append(np.abs(difference.mean(axis=0)) > 1.96 * error)
    found = pd.concat(frames)
    rate = (found["p"] <= 0.05).groupby(found["score"]).mean()
    assert len(rate) == len(STORY_SCORES) - len(UNTESTED)
    # 600 heads a score: the rate is known to about 0.009.
    assert rate.between(0.025, 0.08).all(), rate
    assert abs(rate.mean() - 0.05) < 0.01, rate
    covered = (found["difference_low"] <= 0) & (found["difference_high"] >= 0)
    assert covered.mean() > 0.92
    assert np.mean(naive) > 0.3


def test_the_null_stories_have_the_uniform_scores_on_average() -> None:
    scored = null_scores(np.random.default_rng(1), n_rows=3000, n_heads=1, width=12)
    difference = (scored.trained - scored.uniform)[:, 0, 0] / 11
    error = difference.std(axis=0) / np.sqrt(len(difference))
    tested = [place for place, name in enumerate(STORY_SCORES) if name not in UNTESTED]
    assert (np.abs(difference.mean(axis=0)) < 4 * error)[tested].all()


def test_a_config_without_heads_is_not_asked() -> None:
    from lt_interp.methods.attention.analysis import _needs

    assert _needs(ModelConfig(n_heads=1)) is None
    assert "no attention" in str(_needs(ModelConfig()))
