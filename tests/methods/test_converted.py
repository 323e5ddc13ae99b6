"""A checkpoint that was converted from somebody's file: nothing is claimed of its training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.files import sha256_file
from lt_interp.methods.article.saved import Saved
from lt_interp.methods.article.tables import seed_spread
from lt_interp.methods.checkpoints import find_checkpoints, one_a_stage, provenance
from lt_interp.methods.evolution import evolution
from lt_interp.methods.ladder import ladder
from lt_interp.methods.moe_routing.origin import initial_routers
from lt_interp.methods.result import Result, make_table
from lt_interp.stages import STAGES
from lt_interp.training.convert import convert


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bigram's folder whose name stands before every other."""
    folder = tmp_path_factory.mktemp("theirs")
    generator = torch.Generator().manual_seed(1)
    state = {
        "embedding.weight": torch.randn(256, 16, generator=generator),
        "unembed.weight": torch.randn(256, 16, generator=generator) / 4,
        "unembed.bias": torch.zeros(256),
    }
    torch.save(state, folder / "bigram.pt")
    out = folder / "00-theirs"
    convert(folder / "bigram.pt", "03_bigram", out=out, tokenizer=ByteTokenizer())
    return out


def test_runs_whose_seed_is_known_stand_before_it(shipped: Path, theirs: Path) -> None:
    found = find_checkpoints([theirs, "04_attention", "03_bigram"])
    assert [one.name for one in found] == ["03_bigram", "00-theirs", "04_attention"]
    assert [one.seed for one in found] == [0, None, 0]
    assert one_a_stage(found)["03_bigram"].name == "03_bigram"


def test_the_ladder_knows_its_size_and_no_more(
    shipped: Path, theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(theirs, tmp_path / "00-theirs")
    shutil.copytree(theirs, tmp_path / "03_bigram")
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: tmp_path)
    rungs = {rung["id"]: rung for rung in ladder()}
    for name in ("03_bigram", "00-theirs"):
        assert rungs[name]["adds"] == f"{STAGES['03_bigram'].adds} (converted)"
        assert rungs[name]["parameters"] == 2 * 256 * 16 + 256
        assert rungs[name]["tokens_seen"] is rungs[name]["perplexity"] is None
    assert json.loads(json.dumps(ladder(), allow_nan=False)) == ladder()


def test_provenance_names_the_file(theirs: Path, rows: Rows, trained: Path) -> None:
    found = find_checkpoints([theirs, trained / "03_bigram"])
    models = provenance(found, rows, seed=0, command="", notes={})["models"]
    file = theirs.parent / "bigram.pt"
    assert models["00-theirs"]["converted_from"] == {
        "file": "bigram.pt", "sha256": sha256_file(file),
    }  # fmt: skip
    for entry in ("seed", "recipe", "tokens_seen", "val_loss_nats"):
        assert models["00-theirs"][entry] is None
    assert set(models["00-theirs"]["trained_on"].values()) == {None}
    assert "converted_from" not in models["03_bigram"]


def test_it_is_scored_like_any_other_and_logs_no_curve(
    theirs: Path, rows: Rows, trained: Path
) -> None:
    found = evolution([theirs, trained / "03_bigram"], rows)
    scores = found.tables["ladder"]
    assert scores["stage"].tolist() == ["03_bigram"] * 2
    assert scores["seed"].isna().tolist() == [False, True]
    assert scores["tokens_seen"].isna().tolist() == [False, True]
    assert scores["perplexity"].iloc[0] < scores["perplexity"].iloc[1]
    assert set(found.tables["curves"]["seed"]) == {0}


def test_it_does_not_widen_the_spread_of_seeds() -> None:
    columns = {"stage": str, "seed": int, "loss_nats": float}
    losses = [(0, 2.0), (1, 2.25), (None, 9.0)]
    table = make_table(
        columns,
        [{"stage": "10_moe", "seed": seed, "loss_nats": loss} for seed, loss in losses],
    )
    evolved = Result(name="evolution", tables={"ladder": table}, meta={})
    saved = Saved(results={"evolution": evolved}, reasons={}, stages=["10_moe"])
    assert seed_spread(saved)[["n_seeds", "spread_nats"]].to_numpy().tolist() == [[2, 0.25]]


def test_its_first_router_is_not_made_up(theirs: Path) -> None:
    (one,) = find_checkpoints(theirs)
    assert initial_routers(one) == "there is no record of how it was initialised"
