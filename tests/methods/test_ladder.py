"""The ladder lists every stage in order, and says of the trained ones how they came out."""

from __future__ import annotations

import html
import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from lt_interp.article import article_stage
from lt_interp.methods.ladder import ladder
from lt_interp.methods.ladder_table import stages
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER, STAGES
from lt_interp.training.checkpoint import load


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: tmp_path)


@pytest.mark.usefixtures("nothing_shipped")
def test_untrained_ladder_has_its_sizes_and_no_perplexity() -> None:
    rungs = ladder()
    assert [rung["id"] for rung in rungs] == list(STAGES)
    for rung in rungs:
        article = article_stage(rung["id"])
        assert rung["family"] == STAGES[rung["id"]].family
        if rung["family"] == "ladder":
            assert rung["parameters"] == article.get("params", 1_745_152)  # the gated sister's
        assert rung["article_perplexity"] == article.get("perplexity")
        assert rung["tokens_seen"] is rung["perplexity"] is None


@pytest.mark.usefixtures("shipped")
def test_trained_rungs_are_read_from_their_folders(trained: Path) -> None:
    rungs = {rung["id"]: rung for rung in ladder()}
    assert list(rungs) == [*LADDER, "10_moe-seed1", *list(STAGES)[len(LADDER) :]]
    for name in ("03_bigram", "10_moe", "10_moe-seed1"):
        card = json.loads((trained / name / "run.json").read_text())
        model: StageModel = load(trained / name)
        assert rungs[name]["parameters"] == sum(p.numel() for p in model.parameters())
        assert rungs[name]["tokens_seen"] == card["tokens_seen"] > 0
        assert rungs[name]["perplexity"] == math.exp(card["val_loss_nats"])
    assert rungs["10_moe-seed1"]["adds"] == f"{STAGES['10_moe'].adds} (seed 1)"
    assert rungs["10_moe-seed1"]["article_perplexity"] == 8.1
    assert rungs["09_multi_head"]["perplexity"] is None


def test_parameters_are_those_of_the_stored_weights(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "03_bigram", tmp_path / "03_bigram")
    other = trained / "04_attention" / "model.safetensors"
    shutil.copy(other, tmp_path / "03_bigram")
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: tmp_path)
    found = {rung["id"]: rung["parameters"] for rung in ladder()}
    assert found["03_bigram"] == sum(weight.size for weight in load_file(other).values())


@pytest.mark.usefixtures("shipped")
def test_stages_is_a_table_that_a_notebook_shows() -> None:
    table = stages()
    assert table["id"].tolist() == [rung["id"] for rung in ladder()]
    assert table["parameters"].dtype == "int64"
    assert table["tokens_seen"].isna().sum() == len(STAGES) - 5
    assert all(f"<td>{stage}</td>" in table._repr_html_() for stage in STAGES)


@pytest.mark.usefixtures("shipped")
def test_rungs_are_json_values() -> None:
    assert json.loads(json.dumps(ladder(), allow_nan=False)) == ladder()


@pytest.mark.usefixtures("shipped")
def test_a_notebook_shows_texts_whole_and_numbers_rounded() -> None:
    table = stages()
    shown = table._repr_html_()
    assert all(html.escape(text, quote=False) in shown for text in table["adds"])
    assert "<td>1,745,152</td>" in shown
    rounded = f"<td>{table.set_index('id').loc['10_moe', 'perplexity']:,.2f}</td>"
    assert rounded in shown
    assert "nan" not in shown.lower()
    assert "&lt;NA" not in shown
    assert shown.count("<td>–</td>") == int(table.isna().sum().sum()) > 0


@pytest.mark.usefixtures("shipped")
def test_what_is_taken_out_of_the_table_is_an_ordinary_one() -> None:
    table = stages()
    assert type(table[["id", "perplexity"]]) is type(table.head(2)) is pd.DataFrame
    table["mine"] = 1
    del table["adds"]
    assert "<th>mine</th>" in table._repr_html_()
