"""How smoothly a stage trained, from what its run logged.

Two measures over the logged steps. Roughness of the loss: the size of its second difference, which
a steady fall leaves at zero; all stages read the same batches in the same order, so what a batch
does to everyone cancels in a paired comparison. Swings of the gradient: the size of the change of
the logarithm of its norm from one logged step to the next, taken before clipping. The first fifth
of a run, where every loss falls steeply, is left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.result import make_table
from lt_interp.training.metrics import read_metrics

LOSS, GRADIENT = "roughness of the training loss", "swings of the gradient's norm"
UNITS = {LOSS: "nats", GRADIENT: "nats of the norm's logarithm"}
DRAWS = 2000
FEWEST = 8  # logged steps, below which nothing is said
SETTLED = 0.2  # share of a run after which it is looked at

TRAINING = {"stage": str, "step": int, "train_loss_nats": float, "gradient_norm": float}
STABILITY = {
    "stage": str,
    "previous": str,
    "measure": str,
    "value": float,
    "previous_value": float,
    "difference": float,
    "low": float,
    "high": float,
    "unit": str,
    "n_steps": int,
}


def training_log(main: dict[str, Checkpoint]) -> pd.DataFrame:
    """Loss and gradient norm of every logged step, by stage."""
    rows = []
    for stage, checkpoint in main.items():
        if checkpoint.folder is None:
            continue
        rows += [
            {
                "stage": stage, "step": line["step"], "train_loss_nats": line["train_loss_nats"],
                "gradient_norm": math.sqrt(sum(n * n for n in line["grad_norm"].values())),
            }
            for line in read_metrics(checkpoint.folder)
            if line.get("grad_norm") and "train_loss_nats" in line
        ]  # fmt: skip
    return make_table(TRAINING, rows)


def stability(training: pd.DataFrame, pairs: list[tuple[str, str]], *, seed: int) -> pd.DataFrame:
    """Both measures of each stage beside the stage it grew from.

    Args:
        training: Of `training_log`.
        pairs: Stage and the one before it.
        seed: Of the resampling of logged steps, of which both stages keep the same.

    Returns:
        Means over the steps that both logged, and the difference, below 0 where the later stage is
        steadier. The interval resamples steps; it says nothing of other seeds.
    """
    rows = []
    for now, before in pairs:
        both = training[training["stage"] == now].merge(
            training[training["stage"] == before], on="step", suffixes=("", "_before")
        )
        both = both[both["step"] > SETTLED * both["step"].max()]
        if len(both) < FEWEST:
            continue
        for measure, column, size in (
            (LOSS, "train_loss_nats", _second_difference),
            (GRADIENT, "gradient_norm", _log_change),
        ):
            a, b = (size(both[c].to_numpy(float)) for c in (column, f"{column}_before"))
            rows.append({"stage": now, "previous": before, "measure": measure,
                         **_difference(a, b, seed), "unit": UNITS[measure]})  # fmt: skip
    return make_table(STABILITY, rows)


def _second_difference(values: Float[np.ndarray, " step"]) -> Float[np.ndarray, " inner"]:
    return np.abs(np.diff(values, n=2))


def _log_change(values: Float[np.ndarray, " step"]) -> Float[np.ndarray, " inner"]:
    return np.abs(np.diff(np.log(values)))


def _difference(
    now: Float[np.ndarray, " n"], before: Float[np.ndarray, " n"], seed: int
) -> dict[str, Any]:
    """Mean difference with a percentile interval over resampled steps."""
    drawn = np.random.default_rng(seed).integers(0, len(now), size=(DRAWS, len(now)))
    low, high = np.quantile((now - before)[drawn].mean(axis=1), [0.025, 0.975])
    return {
        "value": float(now.mean()), "previous_value": float(before.mean()),
        "difference": float((now - before).mean()), "low": float(low), "high": float(high),
        "n_steps": len(now),
    }  # fmt: skip
