"""Training interrupted anywhere ends with the bits of an uninterrupted run."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import read_json
from lt_interp.stages import Stage
from lt_interp.training.batches import Data
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import train
from lt_interp.training.metrics import read_metrics

from .small_runs import InterruptedTrainingError, quick, stop_at, timeless, weights

Build = Callable[[str], Stage]


@pytest.mark.parametrize("stops", [(1,), (4,), (5, 9), (12,)], ids=str)
def test_interrupted_and_resumed_is_uninterrupted(
    stops: tuple[int, ...], whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    settings = {"seed": 4, "out": out, "snapshot_seconds": 0}
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    for stop in stops:
        with pytest.raises(InterruptedTrainingError):
            train(stage, data, recipe, on_step=stop_at(stop), **settings)
        assert not (out / "run.json").exists()
    steps: list[int] = []
    train(stage, data, recipe, on_step=lambda done, *_: steps.append(done), **settings)
    resumed_after = stops[-1] // 2 * 2  # the last line of metrics, where the snapshot is
    assert steps == list(range(resumed_after + 1, 13))
    assert weights(out) == weights(whole_run)
    assert timeless(out) == timeless(whole_run)
    ours, theirs = read_json(out / "run.json"), read_json(whole_run / "run.json")
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    assert {path.name for path in out.iterdir()} == {path.name for path in whole_run.iterdir()}


KILLED = """
    import os, pickle, signal, sys
    import torch
    torch.set_num_threads(1)
    from pathlib import Path
    from lt_interp.training.loop import train
    stage, data, recipe = pickle.loads(Path(sys.argv[1]).read_bytes())

    def on_step(done, total, line):
        if done == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    train(stage, data, recipe, seed=4, out=Path(sys.argv[2]), on_step=on_step, snapshot_seconds=0)
"""


def test_killed_and_resumed_is_uninterrupted(
    whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    out, job = tmp_path / "run", tmp_path / "job.pickle"
    train_rows, validation_rows = (
        dataclasses.replace(rows, tokens=np.array(rows.tokens))
        for rows in (data.train, data.validation)
    )
    in_memory = dataclasses.replace(data, train=train_rows, validation=validation_rows)
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    job.write_bytes(pickle.dumps((stage, in_memory, recipe)))
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(job), str(out)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [line["step"] for line in read_metrics(out)] == [2, 4, 6]
    # what a kill in the middle of writing leaves: half a line, and a file never renamed
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "tok')
    train(stage, data, recipe, seed=4, out=out)
    assert weights(out) == weights(whole_run)
    assert timeless(out) == timeless(whole_run)


def test_dropout_acts_while_training_and_an_interruption_changes_nothing(
    small_stage: Build, data: Data, tmp_path: Path
) -> None:
    def dropping(share: float) -> Stage:
        plain = small_stage("07_block")
        return dataclasses.replace(plain, config=dataclasses.replace(plain.config, dropout=share))

    def run(share: float, folder: str, **options: Any) -> StageModel:
        return train(
            dropping(share), data, quick("07_block"), seed=0, out=tmp_path / folder, **options
        )

    whole = run(0.3, "whole")
    assert not whole.training
    run(0.0, "none")
    losses = [
        [line["train_loss_nats"] for line in read_metrics(tmp_path / name)]
        for name in ("whole", "none")
    ]
    assert losses[0][0] != losses[1][0]
    before = torch.random.get_rng_state()
    with pytest.raises(InterruptedTrainingError):
        run(0.3, "pieces", on_step=stop_at(5), snapshot_seconds=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    run(0.3, "pieces")
    assert weights(tmp_path / "pieces") == weights(tmp_path / "whole")


def test_another_run_in_the_same_folder_is_refused(
    whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    finished, begun = tmp_path / "finished", tmp_path / "begun"
    shutil.copytree(whole_run, finished)
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    with pytest.raises(InterruptedTrainingError):
        train(stage, data, recipe, seed=4, out=begun, on_step=stop_at(6), snapshot_seconds=0)
    before = {path: sha256_file(path) for path in tmp_path.rglob("*") if path.is_file()}
    for out in (finished, begun):
        with pytest.raises(InputError, match=r"differs in recipe.lr: 0.\d+ there, 0.001 now\)"):
            train(stage, data, quick("10_moe_gated", lr=1e-3), seed=4, out=out)
        with pytest.raises(InputError, match="differs in seed"):
            train(stage, data, recipe, seed=5, out=out)
        with pytest.raises(
            InputError, match=r"in model\..*, recipe\..*, stage: 10_moe_gated there"
        ):
            train(small_stage("09_multi_head"), data, quick("09_multi_head"), seed=4, out=out)
    assert {p: sha256_file(p) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_finished_folder_is_not_trained_again(
    whole_run: Path, data: Data, small_stage: Build
) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole_run.iterdir()}
    model = train(
        small_stage("10_moe_gated"),
        data,
        quick("10_moe_gated"),
        seed=4,
        out=whole_run,
        on_step=stop_at(*range(13)),
    )
    assert {path: path.stat().st_mtime_ns for path in whole_run.iterdir()} == before
    for name, weight in load(whole_run).state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)


def test_a_damaged_snapshot_is_named(data: Data, small_stage: Build, tmp_path: Path) -> None:
    stage, recipe = small_stage("03_bigram"), quick("03_bigram")
    settings = {"seed": 0, "out": tmp_path, "snapshot_seconds": 0}
    with pytest.raises(InterruptedTrainingError):
        train(stage, data, recipe, on_step=stop_at(6), **settings)
    snapshot = tmp_path / "snapshot.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"snapshot\.safetensors is damaged.*delete it"):
        train(stage, data, recipe, **settings)
