"""The evolution's tables say what the checkpoints, scored one by one, say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lt_interp.article import article
from lt_interp.corpus.windows import Rows
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.evolution import evolution
from lt_interp.methods.result import Result
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import load

NAMES = [
    "10_moe-seed1",
    "04_attention",
    "05_attn_position",
    "03_bigram",
    "01_bag_of_words",
    "10_moe",
]


@pytest.fixture(scope="module")
def steps() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def result(trained: Path, rows: Rows, steps: list[tuple[int, int, str]]) -> Result:
    return evolution(
        [trained / name for name in NAMES],
        rows,
        seed=0,
        progress=lambda *args: steps.append(args),
        command="lt-interp report",
    )


def test_tables(result: Result, trained: Path, rows: Rows, tmp_path: Path) -> None:
    scores = {name: evaluate(load(trained / name), rows, seed=0) for name in NAMES}
    check_ladder(result.tables["ladder"], scores, trained)
    check_pairs(result.tables["pairs"], scores)
    check_parameters(result)
    check_curves(result.tables["curves"], trained)
    result.save(tmp_path)
    assert Result.load(tmp_path).rows("ladder") == result.rows("ladder")
    assert str(trained) not in (tmp_path / "result.json").read_text()


def check_ladder(ladder: pd.DataFrame, scores: dict, trained: Path) -> None:
    order = ["01_bag_of_words", "03_bigram", "04_attention", "05_attn_position", "10_moe", "10_moe"]
    assert ladder["stage"].tolist() == order
    assert ladder["seed"].tolist() == [0, 0, 0, 0, 0, 1]
    for row, name in zip(ladder.itertuples(), [*order[:5], "10_moe-seed1"], strict=True):
        score = scores[name]
        assert row.loss_nats == score.loss_nats
        assert (row.perplexity_low, row.perplexity_high) == score.perplexity_interval
        assert row.perplexity_last_token == score.perplexity_last_token
        assert (row.n_tokens, row.n_stories) == (score.n_tokens, score.n_stories)
        card = json.loads((trained / name / "run.json").read_text())
        assert row.tokens_seen == card["tokens_seen"]
        assert_allclose(row.loss_nats, card["val_loss_nats"], rtol=1e-6)  # trained on these rows
    first = ladder.iloc[0]
    assert (first["article_perplexity"], first["article_parameters"]) == (270.8, 1052672)
    assert first["article_scored_on"] == "last token of each row"


def check_pairs(pairs: pd.DataFrame, scores: dict) -> None:
    assert list(zip(pairs["stage"], pairs["previous"], strict=True)) == [
        ("03_bigram", "01_bag_of_words"),
        ("04_attention", "03_bigram"),
        ("05_attn_position", "04_attention"),
    ]
    for pair in pairs.itertuples():
        assert STAGES[pair.stage].grows_from == pair.previous
        difference = scores[pair.stage].loss_nats - scores[pair.previous].loss_nats
        assert_allclose(pair.difference_nats, difference, rtol=1e-9)
        assert pair.low <= pair.difference_nats <= pair.high


def check_parameters(result: Result) -> None:
    total = result.tables["parameters"].groupby("stage")["parameters"].sum()
    ladder = result.tables["ladder"].drop_duplicates("stage").set_index("stage")["parameters"]
    assert total.to_dict() == ladder.to_dict()


def check_curves(curves: pd.DataFrame, trained: Path) -> None:
    for (stage, seed), run in curves.groupby(["stage", "seed"]):
        name = stage if seed == 0 else f"{stage}-seed{seed}"
        lines = map(json.loads, (trained / name / "metrics.jsonl").read_text().splitlines())
        validated = {line["step"]: line["val_loss_nats"] for line in lines}
        assert dict(zip(run["step"], run["val_loss_nats"], strict=True)) == validated
        assert_allclose(run["perplexity"], np.exp(run["val_loss_nats"]))
    assert len(curves) == 6 * 3  # six runs of 6 steps, validated every 2


def test_samples_and_progress(
    result: Result, rows: Rows, steps: list[tuple[int, int, str]]
) -> None:
    samples = result.tables["samples"]
    assert samples["stage"].tolist() == list(dict.fromkeys(result.tables["ladder"]["stage"]))
    assert samples["prompt"].unique().tolist() == ["Once upon a time"]
    published = article()["evolution_samples"]
    assert samples["article_sample"].tolist() == [published[stage] for stage in samples["stage"]]

    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert steps[-1] == (6000, 6000, "evolution")


def test_other_prompts_have_no_published_sample(trained: Path, rows: Rows) -> None:
    result = evolution(
        [trained / "03_bigram"], rows, seed=0, prompts=["Tom saw", "Once upon a time"]
    )
    assert result.tables["samples"]["article_sample"].tolist() == [
        None,
        article()["evolution_samples"]["03_bigram"],
    ]
    assert len(result.tables["pairs"]) == 0
    assert math.isclose(
        result.tables["ladder"]["perplexity"][0], math.exp(result.tables["ladder"]["loss_nats"][0])
    )
