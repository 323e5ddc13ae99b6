"""The whole analysis on small trained stages: what every table says, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import false_discovery_control

from lt_interp.article import article
from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.analyze import analyze
from lt_interp.methods.attention import attention
from lt_interp.methods.attention.kinds import head_kinds
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.training.checkpoint import load

from .conftest import tiny

GIVEN = "Tom saw a dog."
WITH = ["04_attention", "05_attn_position", "10_moe"]


MAX_ROWS = "lt_interp.methods.attention.analysis.MAX_ROWS"


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MAX_ROWS, 4)


@pytest.fixture(scope="module")
def result(trained: Path, rows: Rows) -> Result:
    folders = sorted(path for path in trained.iterdir() if path.is_dir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MAX_ROWS, 20)
        return attention(folders, rows, seed=1, prompts=[GIVEN])


def test_every_stage_has_a_row_and_the_lowest_seed_stands_for_it(result: Result) -> None:
    applies = result.tables["applies"].set_index("stage")
    assert applies.index.tolist() == ["01_bag_of_words", "03_bigram", *WITH]
    assert applies["applies"].tolist() == [False, False, True, True, True]
    assert applies.loc["03_bigram", "reason"].startswith("it has no attention")
    assert result.tables["head_scores"]["checkpoint"].unique().tolist() == WITH


def test_a_row_for_every_head_and_score(result: Result) -> None:
    counts = result.tables["head_scores"].groupby("stage")["score"].agg(["size", "nunique"])
    assert counts["nunique"].tolist() == [11, 11, 11]
    assert counts["size"].tolist() == [11, 11, 44]
    assert result.tables["heads"].groupby("stage").size().tolist() == [1, 1, 4]


def test_intervals_hold_their_estimates_and_say_how_many_stories(result: Result) -> None:
    scores = result.tables["head_scores"]
    for low, value, high in (
        ("low", "value", "high"),
        ("untrained_low", "untrained", "untrained_high"),
        ("difference_low", "difference_from_uniform", "difference_high"),
    ):
        assert (scores[low] <= scores[value] + 1e-12).all()
        assert (scores[value] <= scores[high] + 1e-12).all()
    assert_allclose(
        scores["difference_from_uniform"], scores["value"] - scores["uniform"], atol=1e-5
    )
    on_stories = ~scores["score"].isin(["induction", "duplicate"])
    assert (scores.loc[on_stories, "n_stories"] > 5).all()
    assert (scores.loc[on_stories, "n_queries"] == 20 * 31).all()
    assert (scores.loc[~on_stories, "n_sequences"] == 64).all()


def test_scores_are_means_over_the_queries_that_were_drawn(trained: Path, rows: Rows) -> None:
    model = load(trained / "05_attn_position")
    found = attention(trained / "05_attn_position", rows, seed=0)
    tokens = torch.from_numpy(rows.tokens[:, :32].astype(np.int64))
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)
    pattern = cache["pattern", 0][:, 0].double()
    value = found.tables["head_scores"].set_index("score")["value"]
    assert_allclose(value["previous"], pattern.diagonal(-1, 1, 2).mean(), rtol=1e-5)
    assert_allclose(value["current"], pattern.diagonal(0, 1, 2)[:, 1:].mean(), rtol=1e-5)
    assert_allclose(value["first"], pattern[:, 1:, 0].mean(), rtol=1e-5)
    by_place = found.tables["by_position"].query("score == 'current' and first_query == 4")
    assert by_place["last_query"].item() == 7
    assert_allclose(by_place["value"].item(), pattern.diagonal(0, 1, 2)[:, 4:8].mean(), rtol=1e-5)
    assert_allclose(by_place["uniform"].item(), (1 / np.arange(5, 9)).mean(), rtol=1e-6)


def test_discoveries_are_controlled_over_all_heads_and_scores_together(result: Result) -> None:
    tested = result.tables["head_scores"].dropna(subset=["p"])
    assert len(tested) == 6 * 9
    assert_allclose(tested["q"], false_discovery_control(tested["p"]))


def test_repetition_is_measured_for_every_period(result: Result) -> None:
    table = result.tables["repetition"]
    assert table.groupby("stage")["period_tokens"].nunique().nunique() == 1
    assert (table["difference"] - (table["value"] - table["unrepeated"])).abs().max() < 1e-12
    assert_allclose(table["q"], false_discovery_control(table["p"]))
    longest = table[table["period_tokens"] == table["period_tokens"].max()]
    keys = ["stage", "layer", "head", "score"]
    both = longest.merge(result.tables["head_scores"], on=keys, suffixes=("", "_there"))
    assert len(both) == 12
    assert_allclose(both["value"], both["value_there"])
    # Without positions nothing but the token decides, and no token follows an earlier copy here.
    content = table.query("stage == '04_attention' and score == 'induction'")
    assert content["difference"].abs().max() < 0.02


def test_patterns_are_the_lower_triangle_and_rows_sum_to_one(result: Result) -> None:
    patterns = result.tables["patterns"]
    assert patterns["prompt"].unique().tolist() == [article()["heatmap_prompts"][1], GIVEN]
    assert (patterns["key"] <= patterns["query"]).all()
    sums = patterns.groupby(["stage", "prompt", "layer", "head", "query"])["weight"].sum()
    assert_allclose(sums, 1, rtol=1e-6)
    n = len(GIVEN)
    shown = patterns[patterns["prompt"] == GIVEN]
    assert shown.groupby("stage").size().tolist() == [n * (n + 1) // 2 * k for k in (1, 1, 4)]
    diagonal = shown[shown["query"] == shown["key"]]
    assert "".join(diagonal["query_token"][:n]) == GIVEN
    assert (diagonal["query_token"] == diagonal["key_token"]).all()


def test_an_article_prompt_that_does_not_fit_has_its_reason(result: Result) -> None:
    prompts = result.tables["prompts"].query("stage == '04_attention'").set_index("prompt")
    long, short = article()["heatmap_prompts"]
    assert prompts["shown"].to_dict() == {long: False, short: True, GIVEN: True}
    assert prompts.loc[long, "reason"] == "40 tokens; 1 to 32 are allowed, so choose another"


@pytest.mark.parametrize(
    ("prompts", "message"),
    [(["x" * 33], "33 tokens; 1 to 32"), ([""], "0 tokens; 1 to 32"), ("Tom", "list of texts")],
)
def test_a_prompt_that_was_asked_for_and_cannot_be_drawn_is_refused(
    trained: Path, rows: Rows, prompts: list[str] | str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        attention(trained / "04_attention", rows, prompts=prompts)


@pytest.mark.usefixtures("few_rows")
def test_same_seed_same_numbers_and_another_seed_others(trained: Path, rows: Rows) -> None:
    def tables(seed: int) -> dict[str, pd.DataFrame]:
        return attention(trained / "04_attention", rows, seed=seed).tables

    one, same, other = tables(0), tables(0), tables(1)
    assert all(one[name].equals(same[name]) for name in one)
    assert not one["head_scores"]["value"].equals(other["head_scores"]["value"])


@pytest.mark.usefixtures("few_rows")
def test_finished_models_are_not_measured_again(
    trained: Path, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [trained / "04_attention", trained / "05_attn_position"]
    first = attention(models, rows, seed=0, keep=tmp_path)
    monkeypatch.setattr("lt_interp.methods.attention.analysis.story_sums", None)
    again = attention(models, rows, seed=0, keep=tmp_path)
    assert all(again.tables[name].equals(first.tables[name]) for name in first.tables)
    monkeypatch.setattr(MAX_ROWS, 5)  # other rows are another study
    with pytest.raises(TypeError):
        attention(models, rows, seed=0, keep=tmp_path)


def test_it_is_one_line_in_a_notebook(tokenizer: ByteTokenizer, rows: Rows) -> None:
    model = StageModel(tiny("07_block"), tokenizer=tokenizer, name="07_block")
    tables = analyze("attention", model, corpus=rows, prompts=[GIVEN]).tables
    assert tables["head_scores"]["stage"].unique().tolist() == ["07_block"]
    assert (tables["claims"]["verdict"] == "not measured").all()


def test_one_story_has_estimates_and_neither_interval_nor_test(
    trained: Path, rows_of: Callable[..., Rows]
) -> None:
    rows = rows_of(["Tom saw a dog. " * 9])
    scores = attention(trained / "04_attention", rows).tables["head_scores"]
    on_stories = scores[scores["n_stories"].notna()]
    assert (on_stories["n_stories"] == 1).all()
    assert on_stories["value"].notna().all()
    assert on_stories[["low", "high", "p", "q"]].isna().all(axis=None)


def test_stages_without_attention_alone_give_empty_tables(trained: Path, rows: Rows) -> None:
    tables = attention(trained / "03_bigram", rows).tables
    assert len(tables["head_scores"]) == len(tables["heads"]) == len(tables["patterns"]) == 0
    assert set(tables["claims"]["verdict"]) == {"not measured"}


def scores_of_head(**values: float) -> pd.DataFrame:
    names = ["current", "previous", "first", "induction", "duplicate", "last_8",
             "mean_distance_tokens", "entropy_nats"]  # fmt: skip
    rows = [
        {"checkpoint": "a", "stage": "a", "train_seed": 0, "layer": 0, "head": 0, "score": name,
         "value": values.get(name, 0.05), "low": 0.0, "high": 1.0, "uniform": 0.1,
         "difference_from_uniform": values.get(name, 0.05) - 0.1, "q": values.get("q", 0.001)}
        for name in names
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("values", "kind", "places"),
    [
        ({"previous": 0.7, "current": 0.2}, "mostly", "previous"),
        ({"previous": 0.3, "current": 0.4}, "partly", "current,previous"),
        ({"duplicate": 0.6, "current": 0.5}, "mostly", "duplicate,current"),
        ({"previous": 0.7, "q": 0.2, "last_8": 0.9}, "near", ""),
        ({"last_8": 0.4}, "spread", ""),
    ],
)
def test_a_head_is_named_by_where_it_looks(
    values: dict[str, float], kind: str, places: str
) -> None:
    head = head_kinds(scores_of_head(**values)).iloc[0]
    assert (head["kind"], head["places"]) == (kind, places)
