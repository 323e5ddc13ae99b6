"""Where models compute: names of devices, and a CUDA device where there is one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lt_interp.cli.app import app
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.windows import open_rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.evaluation import evaluate
from lt_interp.model.device import find_device
from lt_interp.training.checkpoint import load

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "03_bigram"),
    "evaluate": ("evaluate", "03_bigram"),
    "generate": ("generate", "03_bigram", "One day"),
    "xray": ("xray", "One day", "--stage", "03_bigram"),
    "analyze": ("analyze", "components", "--stage", "03_bigram"),
    "report": ("report", "--stage", "03_bigram"),
}


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "mps", "", "cuda:9999"])
def test_names_that_are_no_device(name: str) -> None:
    with pytest.raises(InputError, match="unknown device"):
        find_device(name)


@pytest.mark.parametrize(
    ("n_devices", "name", "found"),
    [(0, "auto", "cpu"), (0, "cpu", "cpu"), (2, "auto", "cuda"), (2, "cuda:1", "cuda:1"),
     (2, "cpu", "cpu"), (2, "cuda", "cuda")],
)  # fmt: skip
def test_auto_is_cuda_where_there_is_one(
    n_devices: int, name: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert find_device(name) == torch.device(found)
    with pytest.raises(InputError, match=r"no device cuda:2 here: .*choose cpu or auto"):
        find_device("cuda:2")


@without_cuda
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_refused_before_the_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*COMMANDS[command], "--device", "cuda"], prog_name="lt-interp")
    assert done.exit_code == 2
    assert "error: there is no device cuda here: torch sees no CUDA device" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_opened_where_it_is_said() -> None:
    (found,) = find_checkpoints("03_bigram")
    assert found.device == "cpu"
    elsewhere = dataclasses.replace(found, device="nowhere")
    assert find_checkpoints([elsewhere]) == [elsewhere]
    with pytest.raises(InputError, match="unknown device 'nowhere'"):
        elsewhere.load()
    assert load("03_bigram", device="auto").cfg.device in ("cpu", "cuda:0")


@needs_cuda
def test_what_cuda_computes_is_what_the_processor_computes() -> None:
    here, there = (load("09_multi_head", device=device) for device in ("cpu", "cuda"))
    assert there.cfg.device == "cuda:0"
    prompt = "Once upon a time there was a little girl named Lily."
    torch.testing.assert_close(there(prompt).cpu(), here(prompt), rtol=1e-3, atol=1e-3)
    assert there.generate(prompt, 20, temperature=0) == here.generate(prompt, 20, temperature=0)
    rows = open_rows(open_corpus("embedded"), here.tokenizer)  # type: ignore[arg-type]
    losses = [evaluate(model, rows, seed=0).loss_nats for model in (here, there)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


@needs_cuda
def test_a_report_from_cuda_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["report", "--stage", "10_moe_gated", "--out", str(tmp_path / "pages")]
    done = CliRunner().invoke(app, [*words, "--device", "cuda"], prog_name="lt-interp")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "pages").glob("*/report.md"))) >= 6
