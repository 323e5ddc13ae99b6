"""Training on a CUDA device, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.stages import Stage
from lt_interp.training.batches import Data
from lt_interp.training.loop import train
from lt_interp.training.metrics import read_metrics

from .small_runs import InterruptedTrainingError, quick, stop_at, weights

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_cuda
def test_a_run_on_cuda_is_repeated_and_resumed_bit_by_bit(
    data: Data, small_stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated", precision="auto")
    settings: dict[str, Any] = {"seed": 0, "device": "cuda", "snapshot_seconds": 0}
    train(stage, data, recipe, out=tmp_path / "whole", **settings)
    with pytest.raises(InterruptedTrainingError):
        train(stage, data, recipe, out=tmp_path / "parts", on_step=stop_at(6), **settings)
    train(stage, data, recipe, out=tmp_path / "parts", **settings)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    train(stage, data, recipe, out=tmp_path / "cpu", **{**settings, "device": "cpu"})
    last = [read_metrics(tmp_path / name)[-1]["val_loss_nats"] for name in ("whole", "cpu")]
    assert last[0] == pytest.approx(last[1], rel=0.02)
    with pytest.raises(InputError, match=r"holds another run .*device"):
        train(stage, data, recipe, out=tmp_path / "whole", **{**settings, "device": "cpu"})
