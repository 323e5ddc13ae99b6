"""The saved results of the other analyses, if they are of the same stories and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.result import RESULT, Result

READ = ("evolution", "position_blindness", "attention", "activation_patching", "moe_routing")
NO_FOLDER = "not measured: run lt-interp report first"


@dataclass(frozen=True, kw_only=True, eq=False)
class Saved:
    """Results of other analyses.

    Attributes:
        results: Those that may be used, by name.
        reasons: Why each of the others may not.
        stages: The stages that are asked about; rows of others are left out.
    """

    results: Mapping[str, Result]
    reasons: Mapping[str, str]
    stages: Sequence[str]

    def table(self, analysis: str, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """A table with the columns that are needed, only the rows of stages asked about.

        Raises:
            NotMeasured: The result, the table or a column is not there.
        """
        if analysis not in self.results:
            raise NotMeasured(self.reasons[analysis])
        tables = self.results[analysis].tables
        if name not in tables:
            raise NotMeasured(f"not measured: {analysis} has no table {name}")
        table = tables[name]
        lacking = [column for column in columns if column not in table]
        if lacking:
            raise NotMeasured(f"not measured: {analysis}/{name} has no column {lacking[0]}")
        return table[table["stage"].isin(self.stages)] if "stage" in table else table


def one_row(table: pd.DataFrame, **where: Any) -> dict[str, Any]:
    """The first row with these values.

    Raises:
        NotMeasured: There is none.
    """
    chosen = table
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    if chosen.empty:
        wanted = ", ".join(f"{value}" for value in where.values())
        raise NotMeasured(f"not measured for {wanted}")
    return chosen.iloc[0].to_dict()


def numbers(row: Mapping[str, Any], *names: str) -> list[float]:
    """Values of a row.

    Raises:
        NotMeasured: One of them is missing.
    """
    lacking = [name for name in names if pd.isna(row[name])]
    if lacking:
        raise NotMeasured(f"not measured: {lacking[0]} is missing, as with too few stories")
    return [float(row[name]) for name in names]


def open_saved(folder: str | Path | None, main: Mapping[str, Checkpoint], rows: Rows) -> Saved:
    """Open what other analyses saved.

    Args:
        folder: Holds `<analysis>/result.json`; `None` for nothing.
        main: The checkpoint of each stage.
        rows: The stories that everything must have been measured on.
    """
    results, reasons = {}, {}
    for name in READ:
        try:
            results[name] = _open(folder, name, main, rows)
        except NotMeasured as reason:
            reasons[name] = str(reason)
    return Saved(results=results, reasons=reasons, stages=list(main))


def _open(
    folder: str | Path | None, name: str, main: Mapping[str, Checkpoint], rows: Rows
) -> Result:
    if folder is None or not (Path(folder) / name / RESULT).is_file():
        raise NotMeasured(NO_FOLDER)
    try:
        result = Result.load(Path(folder) / name)
    except InputError:
        raise NotMeasured(f"not measured: the saved result of {name} is damaged") from None
    difference = _difference(result.meta, main, rows)
    if difference:
        raise NotMeasured(f"not measured: the saved result of {name} is of {difference}")
    return result


def _difference(meta: Mapping[str, Any], main: Mapping[str, Checkpoint], rows: Rows) -> str:
    """What a result was made from that differs from what is asked about now; empty if nothing."""
    corpus, models = meta.get("corpus", {}), meta.get("models", {})
    if (corpus.get("sha256"), corpus.get("split")) != (rows.corpus_sha256, rows.corpus_split):
        return "other stories"
    first = _first_of_stage(models)
    for stage, checkpoint in main.items():
        if (
            stage in first
            and models[first[stage]].get("weights_sha256") != checkpoint.weights_sha256
        ):
            return f"other weights ({stage})"
    return "" if set(first) & set(main) else "other stages"


def _first_of_stage(models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The name of the model that stands for each stage: the first of it, as everywhere."""
    first: dict[str, str] = {}
    for name, model in models.items():
        first.setdefault(model["stage"], name)
    return first
