"""The trainer's gradients against those of the notebooks' loop, on the weights that are shipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import lt_interp as lt
from benchmarks.training import embedded_data
from lt_interp.model.stage_model import StageModel
from lt_interp.training.batches import batch_rows
from lt_interp.training.loop import _Run
from lt_interp.training.recipe import recipe_for

ROWS = 4
data = cache(embedded_data)
Gradients = dict[str, torch.Tensor]


def trained(stage_id: str) -> StageModel:
    """A shipped model that learns again."""
    return lt.load(stage_id).requires_grad_(True)


def gradients_of(model: StageModel) -> Gradients:
    """All of them, by name."""
    return {name: weight.grad.double() for name, weight in model.named_parameters()}


def ours(stage_id: str, precision: str) -> Gradients:
    """What the trainer steps with: no logits held, fused kernels."""
    model = trained(stage_id)
    recipe = recipe_for("ladder", stage_id, batch_rows=ROWS)
    _Run(model, [], data(), recipe, 0, 9, Path(), {"precision": precision}).backward(0)
    return gradients_of(model)


def notebooks(stage_id: str, *, dtype: torch.dtype, autocast: bool = False) -> Gradients:
    """What follows from the logits of every position."""
    model = trained(stage_id).to(dtype)
    rows = np.sort(batch_rows(0, data().train.n_rows, ROWS, 0))
    tokens = torch.from_numpy(data().train.tokens[rows].astype("int64"))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = model(tokens[:, :-1])
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    cross_entropy(exact.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return gradients_of(model)


def errors(got: Gradients, true: Gradients) -> dict[str, float]:
    """Relative errors of every parameter's gradient."""
    return {name: ((got[name] - true[name]).norm() / true[name].norm()).item() for name in true}


@pytest.mark.parametrize("stage_id", ["06_ffn", "09_multi_head"])
def test_gradients_are_those_of_the_notebooks(stage_id: str) -> None:
    """In float32 all but exactly, in bfloat16 to what its rounding costs the notebooks' loop."""
    true = notebooks(stage_id, dtype=torch.float64)
    assert max(errors(ours(stage_id, "float32"), true).values()) < 1e-5
    rounded = errors(notebooks(stage_id, dtype=torch.float32, autocast=True), true)
    for name, error in errors(ours(stage_id, "bfloat16"), true).items():
        assert 0 < error < 1.25 * rounded[name] < 0.15, name
