"""Runs of twelve steps, where they stop, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lt_interp.training.metrics import read_metrics
from lt_interp.training.recipe import Recipe, recipe_for


class InterruptedTrainingError(Exception):
    """Stands for Ctrl-C."""


def quick(stage_id: str, **changes: Any) -> Recipe:
    """Twelve steps, metrics every second one, validation every fourth; nothing left to tuning."""
    small = {"batch_rows": 8, "max_steps": 12, "epochs": 9, "log_every": 2, "validate_every": 4}
    small |= {"optimizer": "muon", "schedule": "linear", "initialisation": "fan_in"}
    small |= {"lr": 4e-3, "lr_embed": 3e-2, "lr_unembed": 8e-3, "warmup_steps": 2}
    small |= {"weight_decay": 0.1, "clip_norm": 1.0, "precision": "float32"}
    return recipe_for("ladder", stage_id, **small | changes)


def stop_at(*steps: int) -> Callable[[int, int, dict], None]:
    def on_step(done: int, total: int, line: dict) -> None:
        if done in steps:
            raise InterruptedTrainingError

    return on_step


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The metrics but for the seconds."""
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in read_metrics(folder)
    ]
