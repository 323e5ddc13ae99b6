"""The analysis from models to tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.analyze import analyze
from lt_interp.methods.article import article
from lt_interp.methods.article.claims import ALL_CLAIMS
from lt_interp.methods.article.groups import TOKEN_CLASS
from lt_interp.methods.evolution import evolution
from lt_interp.methods.result import Result
from lt_interp.methods.token_classes import token_classes
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

from .conftest import tiny
from .test_article_measures import fixed, shipped_rows

STAGES = ("01_bag_of_words", "03_bigram", "04_attention", "05_attn_position", "10_moe")


@pytest.fixture(scope="module")
def result(trained: Path, rows: Rows) -> Result:
    return article([trained / name for name in (*STAGES, "10_moe-seed1")], rows, seed=1)


def test_models_that_differ_on_names_alone_gain_on_names_alone() -> None:
    """Mass that one model wastes on tokens that never occur, the other puts on names."""
    rows = shipped_rows()
    classes = np.array(token_classes(default_tokenizer()))
    names = torch.from_numpy(classes == "name")
    never = torch.ones(4096, dtype=torch.bool)
    never[torch.from_numpy(np.unique(rows.tokens).astype(np.int64))] = False
    never &= ~names
    rest = ~(names | never)
    models = []
    for stage, on_names, wasted in (("03_bigram", 0.1, 0.5), ("04_attention", 0.5, 0.1)):
        each = torch.zeros(4096)
        each[names], each[never], each[rest] = (
            on_names / names.sum(), wasted / never.sum(), 0.4 / rest.sum(),
        )  # fmt: skip
        models.append(fixed(each, name=stage))
    gains = article(models, rows).tables["class_gains"]
    gains = gains[gains["by"] == TOKEN_CLASS].set_index("class")
    assert gains.loc["name", "difference_nats"] == pytest.approx(-np.log(5), rel=1e-4)
    assert gains.loc["name", "q"] < 0.05
    others = gains.drop("name")
    assert len(others) >= 4
    assert others["difference_nats"].abs().max() < 1e-4  # rounding of float32


def test_tables_on_trained_checkpoints(result: Result) -> None:
    tables = result.tables
    assert len(tables["claims"]) == len(ALL_CLAIMS)
    assert tables["evolution"]["stage"].tolist() == list(STAGES)  # one seed a stage
    assert tables["evolution"]["perplexity"].isna().all()
    assert tables["evolution"]["reason"].str.contains("run lt-interp report first").all()
    assert tables["applies"]["applies"].all()
    pairs = tables["class_gains"][["stage", "previous"]].drop_duplicates().to_numpy().tolist()
    assert ["03_bigram", "01_bag_of_words"] in pairs
    assert ["05_attn_position", "04_attention"] in pairs
    assert "losses" not in tables
    bigram = tables["response"].set_index("stage").loc["03_bigram"]
    assert bigram["benefit_nats"] == pytest.approx(0, abs=1e-6)


def test_same_seed_same_result_and_it_survives_saving(
    trained: Path, rows: Rows, result: Result, tmp_path: Path
) -> None:
    names = [trained / name for name in (*STAGES, "10_moe-seed1")]
    again = article(names, rows, seed=1)
    result.save(tmp_path)
    read = Result.load(tmp_path)
    for name, table in result.tables.items():
        assert table.equals(again.tables[name]), name
        assert table.equals(read.tables[name]), name


def test_saved_results_fill_the_tables(trained: Path, rows: Rows, tmp_path: Path) -> None:
    names = [trained / name for name in STAGES]
    saved = evolution(names, rows, prompts=["Tom"])
    saved.save(tmp_path / "evolution")
    table = article(names, rows, results=tmp_path).tables["evolution"].set_index("stage")
    ladder = saved.tables["ladder"].set_index("stage")
    assert table.loc["03_bigram", "perplexity"] == ladder.loc["03_bigram", "perplexity"]
    # the article scored its bag of words on last tokens
    last = ladder.loc["01_bag_of_words", "perplexity_last_token"]
    assert table.loc["01_bag_of_words", "perplexity"] == last
    assert table["reason"].isna().all()


def test_it_continues_where_it_was_interrupted(trained: Path, rows: Rows, tmp_path: Path) -> None:
    names = [trained / name for name in STAGES[:3]]

    def stop(done: int, n: int, what: str) -> None:
        if what == "04_attention" and done > 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        article(names, rows, keep=tmp_path, progress=stop)
    assert len(list(tmp_path.iterdir())) == 2
    resumed = article(names, rows, keep=tmp_path)
    whole = article(names, rows)
    assert resumed.tables["class_gains"].equals(whole.tables["class_gains"])


def test_one_model_in_memory_and_by_name(rows: Rows) -> None:
    model = StageModel(tiny("03_bigram"), tokenizer=_bytes(), name="03_bigram")
    found = analyze("article", model, corpus=rows)
    assert found.tables["class_gains"].empty
    assert found.tables["ngram_predictions"]["reason"].notna().all()
    assert (
        found.tables["parameters"]["parameters"] == sum(p.numel() for p in model.parameters())
    ).all()


def test_a_model_without_a_tokenizer_is_refused(rows: Rows) -> None:
    with pytest.raises(InputError, match="has no tokenizer"):
        article(StageModel(ModelConfig(d_vocab=256, d_model=8)), rows)


def _bytes() -> ByteTokenizer:

    return ByteTokenizer()
