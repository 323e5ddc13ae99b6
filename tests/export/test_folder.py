"""What an exported folder holds, and what is never written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from lt_interp.errors import InputError
from lt_interp.export.folder import FORMATS, export
from lt_interp.export.hooked_transformer import hooked_transformer_weights
from lt_interp.model.config import PRE_NORM_RESIDUAL
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]


def test_hooked_transformer_is_json_and_safetensors_and_a_tokenizer(
    build: Build, tmp_path: Path
) -> None:
    model = build(n_heads=3, wiring=PRE_NORM_RESIDUAL, positions="learned")
    folder = export(model, format="hooked-transformer", out=tmp_path / "new" / "x")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "export.json", "model.safetensors", "tokenizer"
    ]  # fmt: skip
    stored, wanted = load_file(folder / "model.safetensors"), hooked_transformer_weights(model)
    assert stored.keys() == wanted.keys()
    assert all(stored[name].equal(wanted[name]) for name in wanted)
    assert stored["embed.W_E"].dtype == torch.float32
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    assert tokenizer("the dog")["input_ids"] == model.to_tokens("the dog")[0].tolist()


@pytest.mark.parametrize("format", FORMATS)
def test_the_card_says_what_the_folder_is(format: str, build: Build, tmp_path: Path) -> None:
    model = build()
    card = json.loads(
        (export(model, format=format, out=tmp_path / "x") / "export.json").read_text()
    )
    assert (card["format"], card["stage"], card["weights"]) == (format, "x", "float32")
    assert card["model"] == json.loads(json.dumps(model.config.to_dict()))


def test_what_is_there_is_never_replaced(build: Build, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="there already and not empty"):
        export(build(), format="hf", out=tmp_path)
    with pytest.raises(InputError, match="there already"):
        export(build(), format="hf", out=tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(build: Build, tmp_path: Path) -> None:
    export(build(), format="hf", out=tmp_path)
    assert (tmp_path / "config.json").is_file()


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_that_does_not_fit_leaves_nothing(
    format: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"mean of the embeddings.*stages that can: 03_bigram, 07"):
        export(build(average=True), format=format, out=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_halfway_leaves_nothing(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()

    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model.tokenizer, "save", fail)
    with pytest.raises(OSError, match="No space"):
        export(model, format="hf", out=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_and_a_model_without_tokenizer(build: Build, tmp_path: Path) -> None:
    model = build()
    with pytest.raises(InputError, match=r"no format 'onnx'; allowed: hooked-transformer, hf"):
        export(model, format="onnx", out=tmp_path / "x")
    model.tokenizer = None
    with pytest.raises(InputError, match="no tokenizer"):
        export(model, format="hf", out=tmp_path / "x")
