"""What an analysis found, as data: tidy tables and where they come from, saved and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.errors import InputError
from lt_interp.files import sha256_bytes, write_text
from lt_interp.reading import check, file_in, format_version, read_json

RESULT = "result.json"

Progress = Callable[[int, int, str], None]
"""Called by a long analysis with how much is done, how much there is in all, and what is read."""

_MISSING_TYPES = {"int64": "Int64", "bool": "boolean"}  # what holds the same and missing values
_TYPES = {int: "int64", float: "float64", bool: "bool", str: "object"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """Tables with the units of their numbers in the column names, and what made them.

    A column holds integers, floats, truth values or text. A value that is missing (a stage that
    lacks the part, an article that gives no figure) is `nan`, `None` or `pandas.NA` in a table and
    null in the file.

    Attributes:
        name: Name of the analysis, such as `"evolution"`.
        tables: The tables by name.
        meta: JSON values: seed, corpus, models, versions, command, date, notes.
    """

    name: str
    tables: dict[str, pd.DataFrame]
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring every column to the type that it is read back with."""
        tidy = {name: _tidy(table, name) for name, table in self.tables.items()}
        object.__setattr__(self, "tables", tidy)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table as plain Python values, a dictionary a row, `None` for what is missing."""
        frame = self.tables[table]
        names = list(frame)
        columns = [_plain(frame[name]) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def save(self, folder: str | Path, *, csv: bool = True) -> None:
        """Write `result.json`, which holds everything, and each table as `<name>.csv`.

        The same result gives the same bytes.

        Args:
            folder: Where.
            csv: Whether to write the tables once more, for other programs.

        Raises:
            ValueError: A number is infinite, or `meta` holds what JSON cannot.
            InputError: It holds what `load` would refuse, such as a text of a million characters.
        """
        text = _sealed(_to_json(self), Path(folder) / RESULT)
        for name, frame in self.tables.items() if csv else ():
            write_text(Path(folder) / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        write_text(Path(folder) / RESULT, text)

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read what `save` wrote, every type and value as it was.

        Raises:
            InputError: There is no result in the folder, or it is damaged.
        """
        path = file_in(folder, RESULT)
        stored = read_json(path, schema="result")
        if stored.pop("sha256", None) not in (None, _sha256(stored)):  # older ones have none
            raise InputError(f"{path} was changed since it was saved; run the analysis again")
        try:
            tables = {name: _read_table(table) for name, table in stored["tables"].items()}
            return cls(name=stored["name"], tables=tables, meta=stored["meta"])
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path} is damaged ({error!r}); run the analysis again") from None


def make_table(columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table from rows, with declared types, so that an empty one has types too.

    Args:
        columns: The type of each column, in order: `int`, `float`, `bool` or `str`.
        rows: The rows; a column that a row lacks, or that is `None` in it, is missing.
    """
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(columns)
    if unknown:
        raise ValueError(f"rows have columns {sorted(unknown)}; declared: {list(columns)}")
    values = {name: [row.get(name) for row in rows] for name in columns}
    frame = {name: _series(values[name], _TYPES[type_]) for name, type_ in columns.items()}
    return pd.DataFrame(frame, columns=list(columns))


def has_columns(result: Result, columns: Mapping[str, Mapping[str, type]]) -> bool:
    """Whether a result has these tables, each with these columns of these types.

    Args:
        result: Any.
        columns: By table, as `make_table` takes them.
    """
    if result.tables.keys() != columns.keys():
        return False
    return all(
        list(table) == list(columns[name])
        and all(
            str(table[column].dtype) in (_TYPES[type_], _MISSING_TYPES.get(_TYPES[type_]))
            for column, type_ in columns[name].items()
        )
        for name, table in result.tables.items()
    )


def join_tables(
    columns: Mapping[str, type], parts: Iterable[tuple[Mapping[str, Any], pd.DataFrame]]
) -> pd.DataFrame:
    """Tables under each other, each with what is the same in all of its rows.

    Args:
        columns: The type of each column, as `make_table` takes them.
        parts: Those columns of a table that it lacks, with one value each, and the table.
    """
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for about, frame in parts:
        for name in columns:
            column = _plain(frame[name]) if name in frame else [about[name]] * len(frame)
            values[name] += column
    frame = {name: _series(values[name], _TYPES[type_]) for name, type_ in columns.items()}
    return pd.DataFrame(frame, columns=list(columns))


def _series(values: list[Any], dtype: str) -> pd.Series:
    """A column of the type, or of the type that also holds missing values where there are any."""
    if None in values:
        dtype = _MISSING_TYPES.get(dtype, dtype)
    return pd.Series(values, dtype=dtype)


def _tidy(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """The table with one of the four types in each column and rows numbered from 0."""
    if not frame.columns.is_unique or not all(isinstance(name, str) for name in frame):
        raise ValueError(f"table {table!r}: column names must be unique text")
    return pd.DataFrame(
        {name: _tidy_column(frame[name].reset_index(drop=True), table) for name in frame},
        columns=list(frame.columns),
    )


def _tidy_column(column: pd.Series, table: str) -> pd.Series:
    if column.dtype in ("int64", "float64", "bool"):  # nothing is missing in it, or nan
        return column
    if pd.api.types.is_bool_dtype(column.dtype):
        dtype = "bool"
    elif pd.api.types.is_integer_dtype(column.dtype):
        dtype = "int64"
    elif pd.api.types.is_float_dtype(column.dtype):
        dtype = "float64"
    elif all(isinstance(value, str) for value in column.dropna()):
        dtype = "object"
    else:
        raise ValueError(f"table {table!r}: column {column.name!r} mixes types; use make_table")
    return _series(_plain(column), dtype).rename(column.name)


def _plain(column: pd.Series) -> list[Any]:
    """Python values of a column, `None` for missing ones."""
    missing, values = column.isna().to_numpy(), column.tolist()
    if not missing.any():
        return values
    return [None if gone else value for gone, value in zip(missing, values, strict=True)]


def _to_json(result: Result) -> str:
    """The file's text: indented, but with one line for each row of a table."""
    tables = ",\n".join(
        f"    {_dumps(name)}: {_table_json(frame)}" for name, frame in result.tables.items()
    )
    meta = json.dumps(result.meta, indent=2, ensure_ascii=False, allow_nan=False)
    return (
        f'{{\n  "format_version": {format_version("result")},\n  "name": {_dumps(result.name)},\n'
        f'  "meta": {meta.replace(chr(10), chr(10) + "  ")},\n'
        f'  "tables": {{\n{tables}\n  }}\n}}\n'
    )


def _sealed(text: str, path: Path) -> str:
    """The file's text with the hash of what it says, so that a change of it shows."""
    stored = json.loads(text)
    check(stored, "result", f"what is to be saved as {path}")
    return text.replace("{\n", f'{{\n  "sha256": "{_sha256(stored)}",\n', 1)


def _sha256(stored: dict[str, Any]) -> str:
    """Of values, however they are written."""
    return sha256_bytes(json.dumps(stored, sort_keys=True).encode())


def _table_json(frame: pd.DataFrame) -> str:
    types = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    columns = [_plain(frame[name]) for name in frame]
    lines = ",\n".join(f"        {_dumps(row)}" for row in zip(*columns, strict=True))
    return f'{{\n      "types": {_dumps(types)},\n      "rows": [\n{lines}\n      ]\n    }}'


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _read_table(stored: dict[str, Any]) -> pd.DataFrame:
    types = stored["types"]
    allowed = {*_TYPES.values(), *_MISSING_TYPES.values()}
    if not set(types.values()) <= allowed:
        raise ValueError(f"types {sorted(set(types.values()) - allowed)}")
    if any(len(row) != len(types) for row in stored["rows"]):
        raise ValueError("a row has not one value a column")
    columns = zip(*stored["rows"], strict=True) if stored["rows"] else ([] for _ in types)
    series = {
        name: pd.Series(list(values), dtype=dtype)
        for (name, dtype), values in zip(types.items(), columns, strict=True)
    }
    return pd.DataFrame(series, columns=list(types))
