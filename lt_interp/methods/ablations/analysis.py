"""Train every arm from several seeds, and judge what the article says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.ablations.arms import ARMS, BATCH_ROWS, ROW_TOKENS
from lt_interp.methods.ablations.claims import claims_table
from lt_interp.methods.ablations.curves import Logs, gradient_table, loss_table, mean_loss
from lt_interp.methods.ablations.losses import Losses, difference
from lt_interp.methods.ablations.runs import FEW_CHARACTERS, ArmRun, data_of, train_arms
from lt_interp.methods.checkpoints import find_checkpoints, provenance
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.parameters import count, weight_shapes
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.workers import Workers
from lt_interp.training.metrics import read_metrics

STEPS, SEEDS = 1200, (0, 1, 2)
RUNS = {
    "arm": str,
    "says": str,
    "stage": str,
    "seed": int,
    "parameters": int,
    "tokens_seen": int,
    "first_loss_nats": float,
    "train_loss_nats": float,
    "val_loss_nats": float,
    "seconds": float,
}
DIFFERENCES = {
    "arm": str,
    "against": str,
    "measure": str,
    "difference_nats": float,
    "low": float,
    "high": float,
    "n_seeds": int,
}


def ablations(
    runs: Path,
    *,
    corpus: str = "embedded",
    steps: int = STEPS,
    seeds: Sequence[int] = SEEDS,
    workers: Workers | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Result:
    """Train what is not trained yet, and compare.

    Args:
        runs: The folder of the training runs; begun again, they go on where they were.
        corpus: The text, as `open_corpus` takes it, split by story.
        steps: Of every run.
        seeds: Each arm is trained from each.
        workers: Processes for the runs.
        progress: Called with how much is done, how much there is, and the run.
        command: What repeats it.

    Returns:
        Tables `runs`, `losses` and `gradients` (by bins of steps), `differences` (every arm
        against the model with all parts, paired by seed) and `claims`.

    Raises:
        InputError: The text cannot be read, a folder holds another run, or there is no step or no
            seed.
    """
    if steps < 1 or not seeds:
        raise InputError(f"{steps} steps from {len(seeds)} seeds are no runs; take 1 or more")
    wanted = [ArmRun(arm, seed) for seed in seeds for arm in ARMS.values()]
    # workers begin with the last: seed by seed, so that an unfinished study has whole seeds
    train_arms(wanted[::-1], runs, corpus=corpus, steps=steps, workers=workers, progress=progress)
    logs = {run: read_metrics(run.folder(runs)) for run in wanted}
    data = data_of(ARMS["gpt"], corpus)
    losses = Losses(logs=logs, unigram_nats=unigram_nats(data.train))
    tables = {
        "runs": make_table(RUNS, _run_rows(logs, runs, losses)),
        "losses": loss_table(logs),
        "gradients": gradient_table(logs),
        "differences": differences(losses),
        "claims": claims_table(losses),
    }
    notes = {
        "steps": steps,
        "seeds": list(seeds),
        "batch_rows": BATCH_ROWS,
        "row_tokens": ROW_TOKENS,
        "few_characters": FEW_CHARACTERS,
        "unigram_nats": losses.unigram_nats,
        "final": "training losses are means over the last tenth of the steps, with dropout",
        "intervals": "95%, Student's t over seeds; runs of one seed read the text in one order",
    }
    folders = [run.folder(runs) for run in wanted]
    meta = provenance(
        find_checkpoints(folders), data.validation, seed=0, command=command, notes=notes
    )
    return Result(name="ablations", tables=tables, meta=meta)


def unigram_nats(rows: Rows) -> float:
    """The entropy of a token of the rows, in nats."""
    shares = np.bincount(np.asarray(rows.tokens).ravel()) / rows.tokens.size
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())


def differences(losses: Losses) -> pd.DataFrame:
    """Every arm against the one it differs from in one thing: in training, and on other stories."""
    rows: list[dict[str, Any]] = []
    against = {arm: "gpt" for arm in ARMS if arm not in ("gpt", "few")}
    against["few_no_positions"] = "few"
    for arm, other in against.items():
        for measure, values in (("training", losses.final), ("validation", losses.validation)):
            try:
                found = difference(values(arm), values(other))
            except NotMeasured:
                continue
            rows.append(
                {
                    "arm": arm, "against": other, "measure": measure,
                    **dict(zip(("difference_nats", "low", "high"), found, strict=True)),
                    "n_seeds": len(losses.runs(arm)),
                }
            )  # fmt: skip
    return make_table(DIFFERENCES, rows)


def _run_rows(logs: Logs, folder: Path, losses: Losses) -> Iterator[dict[str, Any]]:
    first, last = losses.last_tenth
    for run, lines in logs.items():
        (checkpoint,) = find_checkpoints([run.folder(folder)])
        yield {
            "arm": run.arm.name, "says": run.arm.says, "stage": run.arm.stage, "seed": run.seed,
            "parameters": count(weight_shapes(checkpoint)),
            "tokens_seen": lines[-1]["tokens_seen"],
            "first_loss_nats": lines[0]["train_loss_nats"],
            "train_loss_nats": mean_loss(lines, first, last),
            "val_loss_nats": lines[-1]["val_loss_nats"], "seconds": lines[-1]["seconds"],
        }  # fmt: skip
