"""Why a test of TransformerLens does not apply to a stage, and the judgement of a run by it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from lt_interp.model.config import ModelConfig
from lt_interp.stages import get_stage

from .runs import Record, Run

TABLE = Path(__file__).with_name("not_applicable.toml")


@dataclass(frozen=True)
class Reason:
    """A row of the table.

    Attributes:
        why: The sentence that users read.
        tests: Patterns over `file.py::test[parameters]`.
        lacks: The row counts for stages without this part only, a name of `parts`.
        weights: The row counts for runs with `"random"` or `"shipped"` weights only.
        run: Whether the tests are run all the same, so that they show that they fail.
        by_chance: Whether one may pass nonetheless, depending on the weights.
    """

    why: str
    tests: list[str]
    lacks: str | None = None
    weights: str | None = None
    run: bool = True
    by_chance: bool = False

    def counts_for(self, run: Run) -> bool:
        """Whether the row is about this stage and these weights."""
        if self.weights not in (None, run.weights):
            return False
        return self.lacks is None or not parts(get_stage(run.stage).config)[self.lacks]

    def covers(self, test: str) -> bool:
        """Whether one of the patterns takes the test."""
        return any(fnmatchcase(test, pattern) for pattern in self.tests)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A run, sorted.

    Attributes:
        passed: Tests that passed with the stage in them.
        without_model: Tests that passed and never touched a stage.
        their_skips: Tests that skipped themselves, by their reason.
        not_applicable: Tests by the row that says why.
        failed: Applicable tests that failed.
        apply_after_all: Tests that pass although a row about every stage excludes them. (A stage
            that lacks a part may pass what a test asks of it in passing.)
    """

    passed: list[Record] = field(default_factory=list)
    without_model: list[Record] = field(default_factory=list)
    their_skips: list[Record] = field(default_factory=list)
    not_applicable: dict[str, list[Record]] = field(default_factory=dict)
    failed: list[Record] = field(default_factory=list)
    apply_after_all: list[Record] = field(default_factory=list)


def parts(config: ModelConfig) -> dict[str, bool]:
    """What a stage has of what tests need; a mixture has several feed-forward layers."""
    return {
        "stream": config.has_stream,
        "attention": bool(config.n_heads),
        "feed-forward": bool(config.d_mlp),
        "one feed-forward layer": not config.experts,
        "second layer": config.n_layers > 1,
        "second head": config.n_heads > 1,
    }


def load_reasons(path: Path = TABLE) -> list[Reason]:
    """The table."""
    return [Reason(**row) for row in tomllib.loads(path.read_text())["reason"]]


def judge(run: Run, records: Sequence[Record], reasons: Sequence[Reason]) -> Verdict:
    """Sort the tests of a run; the first row that covers a test is its reason."""
    verdict = Verdict()
    whole = parts(get_stage(run.stage).config)["stream"]
    rows = [reason for reason in reasons if reason.counts_for(run)]
    for record in records:
        row = next((row for row in rows if row.covers(record.test)), None)
        if record.outcome == "passed" and not record.on_stage:
            verdict.without_model.append(record)
        elif record.outcome == "skipped" and not row:
            verdict.their_skips.append(record)
        elif record.outcome == "passed":
            wrong = row is not None and whole and not (row.lacks or row.by_chance)
            (verdict.apply_after_all if wrong else verdict.passed).append(record)
        elif row:
            verdict.not_applicable.setdefault(row.why, []).append(record)
        else:
            verdict.failed.append(record)
    return verdict


def idle_patterns(reasons: Sequence[Reason], verdicts: dict[Run, Verdict]) -> list[str]:
    """Patterns that excuse no test of any run: the table is wrong about them."""
    idle = []
    for reason in (reason for reason in reasons if not reason.by_chance):
        excused = {
            record.test
            for run, verdict in verdicts.items()
            if reason.counts_for(run)
            for record in verdict.not_applicable.get(reason.why, [])
        }
        for pattern in reason.tests:
            if not any(fnmatchcase(test, pattern) for test in excused):
                idle.append(pattern)
    return idle
