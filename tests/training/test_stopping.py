"""Training stops where its numbers stop being numbers, and keeps the last good snapshot."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.stages import Stage
from lt_interp.training.batches import Data
from lt_interp.training.loop import _Run, train
from lt_interp.training.metrics import read_metrics

from .small_runs import quick

Build = Callable[[str], Stage]


def test_a_loss_that_is_not_finite_ends_the_run(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    recipe = quick("03_bigram", lr_embed=1e30, lr_unembed=1e30, clip_norm=0.0)
    said = r"at step \d+ (a weight, gradient or loss is too large|the loss is )"
    with pytest.raises(InputError, match=said):
        train(small_stage("03_bigram"), data, recipe, seed=0, out=tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_the_last_good_snapshot_is_kept_and_the_place_is_named(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight turns infinite by the update of step 7: its name and the step are told."""
    stage, recipe = small_stage("09_multi_head"), quick("09_multi_head", log_every=1)
    settings: dict[str, Any] = {"seed": 0, "out": tmp_path / "run", "snapshot_seconds": 0}
    whole = train(stage, data, recipe, **{**settings, "out": tmp_path / "whole"})
    update = _Run.update

    def overflow(run: _Run, step: int) -> None:
        update(run, step)
        if step == 6:
            with torch.no_grad():
                run.model.blocks[1].mlp.W_in[0, 0] = torch.inf

    with monkeypatch.context() as patch:
        patch.setattr(_Run, "update", overflow)
        with pytest.raises(InputError, match=r"at step 7 .*blocks\.1\.mlp\.W_in holds NaN or inf"):
            train(stage, data, recipe, **settings)
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
    mended = train(stage, data, recipe, **settings)
    for name, weight in whole.state_dict().items():
        assert torch.equal(mended.state_dict()[name], weight), name


def test_a_loss_that_is_no_number_is_named_by_its_step(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = _Run.backward
    monkeypatch.setattr(
        _Run, "backward", lambda run, step: math.nan if step == 4 else backward(run, step)
    )
    with pytest.raises(InputError, match="at step 5 the loss is nan"):
        train(small_stage("03_bigram"), data, quick("03_bigram"), seed=0, out=tmp_path)
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4]
