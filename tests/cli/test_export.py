"""`lt-interp export` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from lt_interp.cli.export import FORMATS
from lt_interp.export.folder import FORMATS as WRITTEN
from lt_interp.training.checkpoint import load

from .conftest import check_line


def test_the_command_knows_every_format() -> None:
    assert tuple(WRITTEN) == FORMATS


def test_a_folder_of_a_checkpoint_is_exported(run: Any, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "x"
    result = run("export", runs / "03_bigram", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: {runs / '03_bigram'} as hooked-transformer\n"
    model = load(runs / "03_bigram")
    assert load_file(out / "model.safetensors")["unembed.W_U"].equal(model.W_U)
    assert json.loads((out / "config.json").read_text())["model_name"] == "03_bigram"


def test_a_shipped_stage_is_exported_for_transformers(run: Any, tmp_path: Path) -> None:
    result = run("export", "07_block", "--format", "hf", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]


def test_what_cannot_be_exported(run: Any, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "x"
    able = "stages that can: 03_bigram, 07_block"
    check_line(run("export", runs / "04_attention", "--out", out), "04_attention", "chain", able)
    check_line(run("export", "10_moe", "--format", "hf", "--out", out), "experts", able)
    check_line(run("export", "07_block", "--format", "onnx", "--out", out), "'onnx'", *FORMATS)
    check_line(run("export", "07_blok", "--out", out), "no checkpoint '07_blok'", "07_block")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["full", "file"])
def test_nothing_is_replaced(place: str, run: Any, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    for path in (tmp_path / "full" / "mine", tmp_path / "file"):
        path.write_text("mine")
    check_line(run("export", runs / "03_bigram", "--out", tmp_path / place), str(tmp_path / place))
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
