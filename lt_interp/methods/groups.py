"""Several analyses of the same models, in groups that give every process work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lt_interp.corpus.windows import Rows
from lt_interp.methods.analyze import analyze_into
from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.registry import get_analysis
from lt_interp.methods.result import Progress
from lt_interp.methods.study import STEPS
from lt_interp.methods.workers import Share, Workers, all_together

LOGGER = logging.getLogger(__name__)


class Asked(NamedTuple):
    """An analysis to run.

    Attributes:
        name: Of the analysis.
        command: What repeats it.
        options: Its further keywords.
    """

    name: str
    command: str
    options: dict[str, Any]


def grouped(asked: Sequence[Asked], *, n_models: int, n_processes: int) -> list[list[Asked]]:
    """Which analyses to do at a time, so that every process has work.

    Several models share the processes: one analysis after the other. A single model cannot: there
    the analyses do, and those that read the results of others come after them.
    """
    if n_models > 1 or n_processes == 1:
        return [[each] for each in asked]
    after = [each for each in asked if get_analysis(each.name)[1].reads_results]
    together = [each for each in asked if each not in after]
    return [group for group in (together, *([each] for each in after)) if group]


def analyze_group_into(
    out: Path,
    group: Sequence[Asked],
    checkpoints: Sequence[Checkpoint],
    rows: Rows,
    *,
    seed: int,
    workers: Workers,
    progress: Progress | None = None,
) -> None:
    """Do one group of `grouped` as `analyze_into` does: one analysis, or one model's several."""
    if len(group) == 1:
        ((name, command, options),) = group
        analyze_into(
            out, name, checkpoints, rows, seed=seed, progress=progress, command=command,
            workers=workers, **options,
        )  # fmt: skip
        return
    (checkpoint,) = checkpoints
    work = partial(_analyze_asked, out=out, checkpoint=checkpoint, rows=rows, seed=seed)

    def advance(done: float, under_way: list[str]) -> None:
        if progress is not None:
            progress(int(STEPS * done), STEPS * len(group), ", ".join(under_way))

    report = all_together([each.name for each in group], advance)
    for place, _, cpu_seconds in workers.run(work, group, report):
        LOGGER.info("%s of %s: %.2f s", group[place].name, checkpoint.name, cpu_seconds)
        report(place, 1.0)


def _analyze_asked(
    asked: Asked, share: Share, *, out: Path, checkpoint: Checkpoint, rows: Rows, seed: int
) -> None:
    """One of a group; its result is in the folder."""
    analyze_into(
        out, asked.name, checkpoint, rows, seed=seed, command=asked.command,
        progress=lambda done, n, _: share(done, n), **asked.options,
    )  # fmt: skip
