"""Checkpoints and snapshots changed by somebody who puts the hashes right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lt_interp.files import sha256_file
from lt_interp.training.run_folder import CARD, CONFIG, WEIGHTS
from lt_interp.training.snapshot import SNAPSHOT, _sha256

Tensors = dict[str, torch.Tensor]


def change_weights(run: Path, change: Callable[[Tensors], Any]) -> None:
    """Of a checkpoint."""
    weights = load_file(run / WEIGHTS)
    change(weights)
    save_file(weights, run / WEIGHTS)
    card = json.loads((run / CARD).read_text())
    stored = {**card, "weights_sha256": sha256_file(run / WEIGHTS)}
    (run / CARD).write_text(json.dumps(stored))


def change_snapshot(
    run: Path, change: Callable[[Tensors, dict[str, str]], Any], *, vouched: bool = True
) -> None:
    """Of a run that was interrupted: its tensors, and what stands beside them."""
    with safe_open(run / SNAPSHOT, framework="pt") as file:
        about = file.metadata()
    tensors = load_file(run / SNAPSHOT)
    change(tensors, about)
    if vouched:
        del about["sha256"]
        about["sha256"] = _sha256(tensors, about)
    save_file(tensors, run / SNAPSHOT, about)


def change_model(run: Path, **changes: Any) -> None:
    """What a checkpoint's config says of the model, and its card with it."""
    for name in (CONFIG, CARD):
        stored = json.loads((run / name).read_text())
        (stored if name == CONFIG else stored["identity"])["model"].update(changes)
        (run / name).write_text(json.dumps(stored))
