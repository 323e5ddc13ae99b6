"""Where a stage's parameters are, by component, beside the count that its article prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage
from lt_interp.methods.parameter_table import compared
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.study import Study
from lt_interp.methods.workers import Share, Workers
from lt_interp.model.stage_model import StageModel

COMPONENTS = {
    "component": str,
    "weights": str,
    "formula": str,
    "numbers": str,
    "parameters": int,
    "article_parameters": int,
    "difference": int,
    "in_block": bool,
}


def components(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
) -> Result:
    """Count the parameters of every stage.

    Args:
        models: Trained models; of several seeds of a stage one is counted.
        rows: Token rows of the models' tokenizer; none is read.
        seed: Nothing is drawn.
        progress: Called with how much is done.
        command: What repeats the analysis.
        keep: Where finished models are kept.
        workers: Processes for the models.

    Returns:
        Tables `components` (a formula for each, its numbers, and the article's count) and
        `applies`.
    """
    found = list(one_a_stage(find_checkpoints(models)).values())
    study = Study(
        name="components", checkpoints=found, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers,
    )  # fmt: skip
    tables = study.each(_measure, columns={"components": COMPONENTS})
    return study.result(tables, notes={"difference": "ours minus the article's"})


def _measure(model: StageModel, share: Share) -> dict[str, list[dict[str, Any]]]:
    return {"components": list(compared(str(model.cfg.model_name), model.config))}
