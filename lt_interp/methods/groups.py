"""Several analyses, in groups that give every process work."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What analyses look at, and where their results go.

    Attributes:
        family: Whose article's models they are.
        checkpoints: The models.
        rows: What they read.
        seed: Of the analyses.
        out: The folder of the results.
    """

    family: str
    checkpoints: Sequence[Checkpoint]
    rows: Rows
    seed: int
    out: Path


class Asked(NamedTuple):
    """An analysis to run.

    Attributes:
        name: Of the analysis.
        command: What repeats it.
        options: Its further keywords.
        subject: What it looks at.
    """

    name: str
    command: str
    options: Mapping[str, Any]
    subject: Subject


def grouped(asked: Sequence[Asked], *, n_processes: int) -> list[list[Asked]]:
    """Which analyses to do at a time, so that every process has work.

    Several models share the processes: one analysis after the other. A single model cannot: there
    the analyses do, with those of other single models, and what reads the results of others comes
    after them.
    """
    alone = [each for each in asked if n_processes > 1 and _is_alone(each)]
    return [group for group in (alone, *([each] for each in asked if each not in alone)) if group]


def _is_alone(asked: Asked) -> bool:
    """Whether an analysis has one model, and needs nothing else."""
    return len(asked.subject.checkpoints) == 1 and not get_analysis(asked.name)[1].reads_results


def analyze_group_into(
    group: Sequence[Asked], *, workers: Workers, progress: Progress | None = None
) -> None:
    """Do one group of `grouped` as `analyze_into` does: one analysis, or several side by side."""
    if len(group) == 1:
        _analyze_asked(group[0], progress, workers)
        return

    def advance(done: float, under_way: list[str]) -> None:
        if progress is not None:
            progress(int(STEPS * done), STEPS * len(group), ", ".join(under_way))

    report = all_together([each.name for each in group], advance)
    for place, _, cpu_seconds in workers.run(_analyze_alone, group, report):
        (checkpoint,) = group[place].subject.checkpoints
        LOGGER.info("%s of %s: %.2f s", group[place].name, checkpoint.name, cpu_seconds)
        report(place, 1.0)


def _analyze_alone(asked: Asked, share: Share) -> None:
    """One of a group; its result is in the folder."""
    _analyze_asked(asked, lambda done, n, _: share(done, n), None)


def _analyze_asked(asked: Asked, progress: Progress | None, workers: Workers | None) -> None:
    subject = asked.subject
    analyze_into(
        subject.out, asked.name, subject.checkpoints, subject.rows, seed=subject.seed,
        progress=progress, command=asked.command, workers=workers, **asked.options,
    )  # fmt: skip
