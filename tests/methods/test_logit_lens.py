"""The analysis on trained checkpoints: its tables say what the models, read one by one, say."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.logit_lens import logit_lens
from lt_interp.methods.logit_lens.corpus import draw_sample
from lt_interp.methods.logit_lens.prompts import default_prompts
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import load

NAMES = ["10_moe-seed1", "01_bag_of_words", "03_bigram", "04_attention", "10_moe"]
PROMPT = "Tom saw a dog"
N = 400  # predicted tokens; rows of 32 round it up to 416


@pytest.fixture(scope="module")
def steps() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def trigram(tokenizer: ByteTokenizer) -> StageModel:
    config = dataclasses.replace(
        STAGES["03b_trigram"].config, d_model=16, d_vocab=256, n_ctx=32, eos_id=0
    )
    return StageModel(config, tokenizer=tokenizer, name="03b_trigram")


@pytest.fixture(scope="module")
def result(trained: Path, trigram: StageModel, rows: Rows, steps: list) -> Result:
    models = [*(trained / name for name in NAMES), trigram]
    return logit_lens(models, rows, progress=lambda *step: steps.append(step), prompts=[PROMPT],
                      tokens=N)  # fmt: skip


def test_one_model_a_stage_and_a_reason_where_there_is_nothing_to_read(result: Result) -> None:
    applies = result.tables["applies"].set_index("checkpoint")
    stages = ["01_bag_of_words", "03_bigram", "03b_trigram", "04_attention", "10_moe"]
    assert list(applies.index) == stages
    assert applies.index[~applies["applies"]].tolist() == ["03b_trigram"]
    assert "2 tokens side by side" in applies.loc["03b_trigram", "reason"]
    split = result.tables["attribution_applies"].set_index("stage")
    assert list(split.index) == stages
    assert split.index[split["attribution_applies"]].tolist() == ["03_bigram", "10_moe"]
    assert split.loc["03b_trigram", "reason"] == applies.loc["03b_trigram", "reason"]
    assert split.loc[~split["attribution_applies"], "reason"].notna().all()


def test_the_last_point_over_all_rows_is_the_evaluation(trained: Path, rows: Rows) -> None:
    found = logit_lens(trained / "10_moe", rows, prompts=[PROMPT], tokens=10**9)
    scored = evaluate(load(trained / "10_moe"), rows, seed=0)
    last = found.tables["lens_corpus"].iloc[-1]
    assert last["loss_nats"] == pytest.approx(scored.loss_nats, rel=1e-6)
    assert (last["n_tokens"], last["n_stories"]) == (scored.n_tokens, scored.n_stories)
    low, high = scored.perplexity_interval
    assert (last["low"], last["high"]) == pytest.approx((math.log(low), math.log(high)), rel=1e-6)


def test_numbers_of_every_point(result: Result) -> None:
    table = result.tables["lens_corpus"]
    assert set(table["n_tokens"]) == {416}
    assert (table["low"] < table["loss_nats"]).all()
    assert (table["loss_nats"] < table["high"]).all()
    assert table["top1_accuracy"].between(table["top1_low"], table["top1_high"]).all()
    for mean, low, high in (
        ("probability", "probability_low", "probability_high"),
        ("geometric_mean_rank", "rank_low", "rank_high"),
        ("untrained_loss_nats", "untrained_low", "untrained_high"),
    ):
        assert table[mean].between(table[low], table[high]).all()
    assert (table["probability"] > np.exp(-table["loss_nats"])).all()  # Jensen
    assert table["rank_low"].ge(1).all()
    last = table.drop_duplicates("stage", keep="last")
    assert last["kl_to_final_nats"].eq(0).all()
    assert not last["descriptive"].any()
    step = table.groupby("stage")["loss_nats"].diff()
    assert np.allclose(step.dropna(), table["change_from_previous_nats"].dropna())
    assert table.loc[step.isna(), ["change_from_previous_nats", "p", "q"]].isna().all(axis=None)
    assert (table["untrained_loss_nats"] - math.log(256)).abs().lt(1).all()


@pytest.mark.parametrize("table", ["lens_corpus", "attribution"])
def test_q_controls_for_everything_tested(result: Result, table: str) -> None:
    tested = result.tables[table].dropna(subset=["p"])
    assert len(tested) >= 6
    assert np.allclose(tested["q"], stats.false_discovery_control(tested["p"]))


def test_baselines_are_those_of_the_corpus(result: Result, rows: Rows) -> None:
    table = result.tables["lens_baselines"].set_index("baseline")
    counts = Counter(np.asarray(rows.tokens).ravel().tolist())
    total = sum(counts.values())
    targets = draw_sample(rows, tokens=N, seed=0).tokens[:, 1:].ravel().tolist()
    losses = [-math.log(counts[token] / total) for token in targets]
    assert table.loc["unigram", "loss_nats"] == pytest.approx(np.mean(losses))
    likeliest = counts.most_common(1)[0][0]
    right = np.mean([token == likeliest for token in targets])
    assert table.loc["unigram", "top1_accuracy"] == pytest.approx(right)
    assert table.loc["uniform", "loss_nats"] == pytest.approx(math.log(256))
    assert set(table["n_tokens"]) == {416}


def test_a_prompt_is_read_at_every_point_and_position(result: Result, trained: Path) -> None:
    table = result.tables["lens_prompts"]
    model = load(trained / "10_moe")
    rows = table[(table["stage"] == "10_moe") & (table["order"] == 4)].set_index("position")
    probabilities = model(PROMPT)[0].softmax(dim=-1).detach()
    tokens = model.to_tokens(PROMPT)[0]
    for position in range(len(tokens)):
        row = rows.loc[position]
        best = int(probabilities[position].argmax())
        assert row["top_token"] == model.to_single_str_token(best)
        assert row["top_probability"] == pytest.approx(
            float(probabilities[position].max()), rel=0.01
        )
        top = json.loads(row["top_tokens"])
        assert len(top) == 5
        assert top[0] == [row["top_token"], row["top_probability"]]
        if position + 1 < len(tokens):
            own = probabilities[position, tokens[position + 1]]
            assert row["probability_of_next"] == pytest.approx(float(own), rel=1e-3)
            assert row["rank_of_next"] == int((probabilities[position] >= own).sum())
            assert row["next_token"] == PROMPT[position + 1]
    assert rows.loc[len(tokens) - 1, ["next_token", "rank_of_next"]].isna().all()
    assert "".join(rows["token"]) == PROMPT


def test_shares_on_a_prompt_add_up(result: Result, trained: Path) -> None:
    table = result.tables["attribution_prompts"]
    sums = table[table["stage"] == "10_moe"].groupby("position")["contribution_logits"].sum()
    model = load(trained / "10_moe")
    with torch.no_grad():
        logits = model(PROMPT)[0, :-1]
    own = logits.gather(1, model.to_tokens(PROMPT)[0, 1:, None])[:, 0]
    assert np.allclose(sums, own - logits.mean(dim=1), atol=1e-3)  # kept to 4 digits


def test_shares_over_the_corpus_add_up(result: Result) -> None:
    sums = result.tables["attribution"].groupby("stage")["contribution_logits"].sum()
    whole = result.tables["attribution_applies"].set_index("stage")["logit_minus_mean"]
    assert np.allclose(sums, whole[sums.index])
    constant = result.tables["attribution"].query("component in ('b_U', 'ln_final.b')")
    assert constant["p"].isna().all()  # dealing tokens out cannot change a constant's mean
    assert np.allclose(constant["contribution_logits"], constant["shuffled_contribution_logits"])


def test_the_same_seed_gives_the_same_result_and_it_saves(
    result: Result, trained: Path, trigram: StageModel, rows: Rows, tmp_path: Path
) -> None:
    again = logit_lens([*(trained / name for name in NAMES), trigram], rows, prompts=[PROMPT],
                       tokens=N, keep=tmp_path / "keep")  # fmt: skip
    again.save(tmp_path / "result")
    read_back = Result.load(tmp_path / "result")
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(read_back.tables[name], table)


def test_progress_reaches_its_end_without_turning_back(result: Result, steps: list) -> None:
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert steps[-1][:2] == (5000, 5000)
    assert len(set(done)) > 20


def test_the_articles_prompts_are_left_out_with_a_reason_where_they_do_not_fit(
    trained: Path, rows: Rows
) -> None:
    found = logit_lens(trained / "03_bigram", rows, tokens=50)
    left_out = found.tables["prompts_left_out"].set_index("prompt")["reason"]
    read = set(found.tables["lens_prompts"]["prompt"])
    assert read | set(left_out.index) == set(default_prompts())
    assert len(left_out)
    assert left_out.str.contains("context 32").all()


def test_bad_input_is_refused(trained: Path, rows: Rows) -> None:
    with pytest.raises(InputError, match="tokens is 0"):
        logit_lens(trained / "03_bigram", rows, tokens=0)
    with pytest.raises(InputError, match=r"prompt '': .*no tokens"):
        logit_lens(trained / "03_bigram", rows, prompts=[""])
    with pytest.raises(InputError, match="has 60 tokens and the context 32"):
        logit_lens(trained / "03_bigram", rows, prompts=["word " * 12])


def test_one_story_leaves_nothing_to_resample(rows_of: Callable[..., Rows], trained: Path) -> None:
    found = logit_lens(trained / "10_moe", rows_of(["A dog ran to a cat and to a girl. " * 3]))
    table = found.tables["lens_corpus"]
    assert table[["low", "high", "p", "q"]].isna().all(axis=None)
    assert set(table["n_stories"]) == {1}
    assert found.tables["attribution"]["contribution_logits"].notna().all()


def test_a_model_without_tokenizer_is_averaged_but_not_prompted(rows: Rows) -> None:
    config = dataclasses.replace(STAGES["07_block"].config, d_model=16, d_vocab=256, n_ctx=32,
                                 d_mlp=24)  # fmt: skip
    found = logit_lens(StageModel(config, name="07_block"), rows, tokens=50)
    assert len(found.tables["lens_corpus"]) == 3
    assert found.tables["lens_prompts"].empty
    assert found.tables["prompts_left_out"]["reason"].str.contains("no tokenizer").all()
