"""One run of an analysis over several models, each kept when it is done."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Checkpoint, provenance, versions
from lt_interp.methods.evaluation import check_rows
from lt_interp.methods.result import (
    RESULT,
    Progress,
    Result,
    has_columns,
    join_tables,
    make_table,
)
from lt_interp.methods.workers import Share, Workers, all_together, here
from lt_interp.model.config import ModelConfig
from lt_interp.model.finite import finite_activations, require_finite
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import file_in, place_in

LOGGER = logging.getLogger(__name__)
Row = Mapping[str, Any]
Columns = Mapping[str, type]
Measure = Callable[[StageModel, Share], Mapping[str, Iterable[Row]]]
"""Gets an open model and what to call as it advances; returns the rows of every table, without the
columns that name the model."""

# What `Study.each` puts before the columns of every table.
MODEL_COLUMNS = {"checkpoint": str, "stage": str, "train_seed": int}
APPLIES = {**MODEL_COLUMNS, "applies": bool, "reason": str}
STEPS = 1000  # of the progress of one model
LOOKED_AT = 2  # rows through which every activation is looked at before
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
        progress: Called with thousandths done, in all, and the names of the models under way.
        command: What repeats the analysis.
        keep: A folder in which the tables of every model are kept as it is finished, so that the
            same study, begun again, continues; `None` keeps nothing.
        options: Every further choice that changes a number, as JSON values.
        workers: Processes for the models, which are otherwise measured here, one after the other.
    """

    name: str
    checkpoints: list[Checkpoint]
    rows: Rows
    seed: int
    progress: Progress | None = None
    command: str = ""
    keep: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    workers: Workers | None = None

    def each(
        self,
        measure: Measure,
        *,
        columns: Mapping[str, Columns],
        needs: Callable[[ModelConfig], str | None] = lambda _: None,
    ) -> dict[str, pd.DataFrame]:
        """Measure every model.

        Args:
            measure: What is measured of one; for processes a function of a module, or an object
                that can be pickled.
            columns: The columns of every table and their types.
            needs: Why the analysis does not apply to a stage, in words; `None` where it does.

        Returns:
            The tables, `checkpoint`, `stage` and `train_seed` first, and a table `applies` with a
            row for every model.
        """
        reasons = [needs(checkpoint.config) for checkpoint in self.checkpoints]
        measured = self._measured(
            [one for one, reason in zip(self.checkpoints, reasons, strict=True) if reason is None],
            partial(measure_one, measure=measure, name=self.name, columns=columns, rows=self.rows),
            columns,
        )
        asked = [
            (_about(one), measured[one.name]) for one in self.checkpoints if one.name in measured
        ]
        tables = {
            name: join_tables(
                {**MODEL_COLUMNS, **types}, [(about, of.tables[name]) for about, of in asked]
            )
            for name, types in columns.items()
        }
        applies = [
            {**_about(one), "applies": reason is None, "reason": reason}
            for one, reason in zip(self.checkpoints, reasons, strict=True)
        ]
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

    def _measured(
        self,
        asked: Sequence[Checkpoint],
        work: Callable[[Checkpoint, Share], Result],
        columns: Mapping[str, Columns],
    ) -> dict[str, Result]:
        """The tables of every model that is asked, by its name; each kept as it is finished."""
        kept = {one.name: self._kept(one, columns) for one in asked}
        found = {name: result for name, result in kept.items() if result is not None}
        left = [one for one in asked if one.name not in found]
        in_folders = all(one.folder for one in left)  # a model in memory stays in its process
        run = self.workers.run if self.workers and in_folders else here
        done_before = len(self.checkpoints) - len(left)
        report = all_together(
            [one.name for one in left], lambda done, what: self._advance(done_before + done, what)
        )
        for place, result, cpu_seconds in run(work, left, report):
            LOGGER.info("%s of %s: %.2f s", self.name, left[place].name, cpu_seconds)
            report(place, 1.0)
            if self.keep:
                result.save(self._place(left[place]), csv=False)
            found[left[place].name] = result
        self._advance(len(self.checkpoints), [self.name.replace("_", " ")])
        return found

    def _kept(self, checkpoint: Checkpoint, columns: Mapping[str, Columns]) -> Result | None:
        """What an earlier, interrupted run of this study found; what is damaged is found anew."""
        if not self.keep:
            return None
        place = self._place(checkpoint)
        if not file_in(place, RESULT).is_file():
            return None
        try:
            result = Result.load(place)
        except InputError as error:
            LOGGER.warning("%s; %s is measured anew", error, checkpoint.name)
            return None
        return result if has_columns(result, columns) else None

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
        facts += [] if checkpoint.device == "cpu" else [checkpoint.device]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return place_in(self.keep, f"{checkpoint.name[:50]}-{digest[:16]}")

    def _advance(self, done: float, what: Iterable[str]) -> None:
        if self.progress:
            n = len(self.checkpoints)
            self.progress(int(STEPS * done), STEPS * n, ", ".join(what))


def measure_one(
    checkpoint: Checkpoint,
    share: Share,
    *,
    measure: Measure,
    name: str,
    columns: Mapping[str, Columns],
    rows: Rows,
) -> Result:
    """Open a model and measure it; its tables still lack the columns that name it.

    Raises:
        InputError: It cannot be read, does not fit the rows, or computes what is not finite.
    """
    model = checkpoint.load()
    check_rows(model, rows)
    some = torch.from_numpy(rows.tokens[:LOOKED_AT, :-1].astype("int64")).to(model.W_E.device)
    require_finite(model, some)
    with finite_activations(model):
        found = measure(model, share)
    return Result(name=name, tables={key: make_table(columns[key], found[key]) for key in columns})


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
