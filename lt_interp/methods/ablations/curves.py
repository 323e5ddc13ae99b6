"""How the runs of every arm learned, as tables: the loss by step, and the gradient by block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lt_interp.methods.ablations.runs import ArmRun
from lt_interp.methods.result import make_table
from lt_interp.methods.statistics import seeds_interval

Logs = Mapping[ArmRun, Sequence[Mapping[str, Any]]]
"""The lines of `metrics.jsonl` of every run, one a step."""

BINS_A_DECADE = 12
LOSS = {
    "arm": str,
    "first_step": int,
    "last_step": int,
    "train_loss_nats": float,
    "low": float,
    "high": float,
    "n_seeds": int,
}
GRADIENTS = {
    "arm": str,
    "seed": int,
    "first_step": int,
    "last_step": int,
    "block": int,
    "gradient_norm": float,
}


def loss_table(logs: Logs) -> pd.DataFrame:
    """Mean training loss of each arm within bins of steps, and its interval over seeds."""
    rows = []
    for arm, runs in _by_arm(logs).items():
        for first, last in bins(min(len(lines) for lines in runs)):
            of_seeds = [mean_loss(lines, first, last) for lines in runs]
            loss, low, high = seeds_interval(of_seeds)
            rows.append(
                {
                    "arm": arm, "first_step": first, "last_step": last, "train_loss_nats": loss,
                    "low": low, "high": high, "n_seeds": len(of_seeds),
                }
            )  # fmt: skip
    return make_table(LOSS, rows)


def gradient_table(logs: Logs) -> pd.DataFrame:
    """The norm of the gradient of every block, geometric mean within the same bins."""
    rows = []
    for run, lines in logs.items():
        for first, last in bins(len(lines)):
            norms = [line["grad_norm_by_block"] for line in lines[first - 1 : last]]
            for block in norms[0]:
                least = np.finfo(float).tiny
                logarithms = [math.log(max(norm[block], least)) for norm in norms]
                rows.append(
                    {
                        "arm": run.arm.name, "seed": run.seed, "first_step": first,
                        "last_step": last, "block": int(block),
                        "gradient_norm": math.exp(float(np.mean(logarithms))),
                    }
                )  # fmt: skip
    return make_table(GRADIENTS, rows)


def bins(n_steps: int) -> list[tuple[int, int]]:
    """First and last step of bins that are equally wide on a logarithmic axis.

    Example:
        >>> bins(20)[:3], bins(20)[-1]
        ([(1, 1), (2, 2), (3, 3)], (18, 20))
    """
    n = math.ceil(BINS_A_DECADE * math.log10(n_steps)) if n_steps > 1 else 1
    ends = sorted({round(end) for end in np.geomspace(1, n_steps, n + 1)})
    return list(zip([1, *(end + 1 for end in ends)], ends, strict=False))


def mean_loss(lines: Sequence[Mapping[str, Any]], first: int, last: int) -> float:
    """Mean training loss in nats over steps, both ends included."""
    return float(np.mean([line["train_loss_nats"] for line in lines[first - 1 : last]]))


def _by_arm(logs: Logs) -> dict[str, list[Sequence[Mapping[str, Any]]]]:
    arms: dict[str, list[Sequence[Mapping[str, Any]]]] = {}
    for run, lines in logs.items():
        arms.setdefault(run.arm.name, []).append(lines)
    return arms
