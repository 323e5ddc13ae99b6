"""One run of an analysis over several models: a model at a time, each kept when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import Checkpoint, provenance, versions
from lt_interp.methods.evaluation import check_rows
from lt_interp.methods.result import RESULT, Progress, Result, make_table
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

Row = Mapping[str, Any]
Columns = Mapping[str, type]
Share = Callable[[int, int], None]
"""Called while one model is measured with how much of it is done, and how much there is."""

# What `Study.each` puts before the columns of every table.
MODEL_COLUMNS = {"checkpoint": str, "stage": str, "train_seed": int}
APPLIES = {**MODEL_COLUMNS, "applies": bool, "reason": str}
STEPS = 1000  # of the progress of one model
# Folders of the package that only show what is saved, and what is no code of it.
_AFTER_RESULTS = ("cli", "report", "figures", "trained")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What an analysis reads, how far it is, and where it keeps what is done.

    Attributes:
        name: Of the analysis.
        checkpoints: The models, in the order of the tables.
        rows: The token rows.
        seed: Of the analysis.
        progress: Called with thousandths done, in all, and the model's name.
        command: What repeats the analysis.
        keep: A folder in which the tables of every model are kept as it is finished, so that the
            same study, begun again, continues; `None` keeps nothing.
        options: Every further choice that changes a number, as JSON values.
    """

    name: str
    checkpoints: list[Checkpoint]
    rows: Rows
    seed: int
    progress: Progress | None = None
    command: str = ""
    keep: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def each(
        self,
        measure: Callable[[StageModel, Share], Mapping[str, Iterable[Row]]],
        *,
        columns: Mapping[str, Columns],
        needs: Callable[[ModelConfig], str | None] = lambda _: None,
    ) -> dict[str, pd.DataFrame]:
        """Measure one model after the other.

        Args:
            measure: Gets an open model and what to call as it advances; returns the rows of every
                table, without the columns that name the model.
            columns: The columns of every table and their types.
            needs: Why the analysis does not apply to a stage, in words; `None` where it does.

        Returns:
            The tables, `checkpoint`, `stage` and `train_seed` first, and a table `applies` with a
            row for every model.
        """
        rows: dict[str, list[Row]] = {name: [] for name in columns}
        applies: list[Row] = []
        for place, checkpoint in enumerate(self.checkpoints):
            self._advance(place, 0, 1, checkpoint.name)
            reason = needs(checkpoint.config)
            about = _about(checkpoint)
            applies.append({**about, "applies": reason is None, "reason": reason})
            if reason is not None:
                continue
            measured = self._kept(checkpoint, columns)
            if measured is None:
                measured = self._measure(place, checkpoint, measure, columns)
            for name in columns:
                rows[name] += [{**about, **row} for row in measured.rows(name)]
        self._advance(len(self.checkpoints), 0, 1, self.name.replace("_", " "))
        tables = {
            name: make_table({**MODEL_COLUMNS, **types}, rows[name])
            for name, types in columns.items()
        }
        return {**tables, "applies": make_table(APPLIES, applies)}

    def result(self, tables: Mapping[str, pd.DataFrame], *, notes: Mapping[str, Any]) -> Result:
        """The tables with where they come from.

        Args:
            tables: What was found.
            notes: Choices of the analysis that its page states.
        """
        meta = provenance(
            self.checkpoints, self.rows, seed=self.seed, command=self.command, notes=dict(notes)
        )
        return Result(name=self.name, tables=dict(tables), meta=meta)

    def _measure(
        self,
        place: int,
        checkpoint: Checkpoint,
        measure: Callable[[StageModel, Share], Mapping[str, Iterable[Row]]],
        columns: Mapping[str, Columns],
    ) -> Result:
        """Measure a model and keep its tables."""
        model = checkpoint.load()
        check_rows(model, self.rows)
        found = measure(model, lambda done, n: self._advance(place, done, n, checkpoint.name))
        tables = {name: make_table(types, found[name]) for name, types in columns.items()}
        result = Result(name=self.name, tables=tables)
        if self.keep:
            result.save(self._place(checkpoint))
        return result

    def _kept(self, checkpoint: Checkpoint, columns: Mapping[str, Columns]) -> Result | None:
        """What an earlier, interrupted run of this study found."""
        if not self.keep or not (self._place(checkpoint) / RESULT).is_file():
            return None
        result = Result.load(self._place(checkpoint))
        return result if set(result.tables) == set(columns) else None

    def _place(self, checkpoint: Checkpoint) -> Path:
        """A folder whose name holds everything that the tables depend on."""
        assert self.keep is not None
        facts = [
            self.name,
            self.seed,
            dict(self.options),
            checkpoint.weights_sha256,
            [self.rows.corpus_sha256, self.rows.corpus_split, self.rows.width],
            [self.rows.tokenizer_sha256, checkpoint.config.to_dict(), _code_sha256(), versions()],
        ]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return self.keep / f"{checkpoint.name}-{digest[:16]}"

    def _advance(self, place: int, done: int, n: int, what: str) -> None:
        if self.progress:
            share = STEPS * done // max(n, 1)
            self.progress(STEPS * place + share, STEPS * len(self.checkpoints), what)


def _about(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": checkpoint.name,
        "stage": checkpoint.stage,
        "train_seed": checkpoint.seed,
    }


@cache
def _code_sha256() -> str:
    """Of the package's source and data: kept tables of other code are not this study's."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted((*package.rglob("*.py"), *package.rglob("*.json"))):
        if path.relative_to(package).parts[0] not in _AFTER_RESULTS:
            digest.update(path.read_bytes())
    return digest.hexdigest()
