"""Checkpoints come in the ladder's order whatever order they are named in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.methods.checkpoints import find_checkpoints, one_a_stage, provenance


def test_order_is_the_ladders_then_the_seeds(shipped: Path) -> None:
    names = ["10_moe-seed1", "10_moe", "03_bigram", "01_bag_of_words"]
    found = find_checkpoints(names)
    assert [checkpoint.name for checkpoint in found] == names[::-1]
    assert [checkpoint.seed for checkpoint in found] == [0, 0, 0, 1]
    assert {stage: one.name for stage, one in one_a_stage(found).items()} == {
        "01_bag_of_words": "01_bag_of_words",
        "03_bigram": "03_bigram",
        "10_moe": "10_moe",
    }


def test_two_of_one_name_are_refused(shipped: Path, tmp_path: Path) -> None:
    shutil.copytree(shipped / "03_bigram", tmp_path / "03_bigram")
    with pytest.raises(InputError, match="03_bigram"):
        find_checkpoints(["03_bigram", tmp_path / "03_bigram"])


def test_naming_none_is_refused() -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        find_checkpoints([])


def test_provenance_says_which_weights_and_which_stories(trained: Path, rows: Rows) -> None:
    found = find_checkpoints([trained / "04_attention", trained / "10_moe-seed1"])
    meta = provenance(found, rows, seed=3, command="make report", notes={"a": 1})
    assert meta["corpus"] == {
        "name": "planted",
        "split": "all",
        "sha256": rows.corpus_sha256,
        "n_stories": rows.n_stories,
        "n_rows": rows.n_rows,
    }
    model = meta["models"]["10_moe-seed1"]
    weights = trained / "10_moe-seed1" / "model.safetensors"
    assert (model["stage"], model["seed"]) == ("10_moe", 1)
    assert model["weights_sha256"] == sha256_file(weights)
    assert (meta["seed"], meta["command"], meta["notes"]) == (3, "make report", {"a": 1})
    assert str(trained) not in str(meta)
