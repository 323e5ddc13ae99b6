"""Files from anybody: what they are and how large is looked at before they are read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import fastjsonschema
from fastjsonschema import JsonSchemaValueException

from lt_interp.errors import InputError

LARGEST_BYTES = 2**26  # of a file that is read whole; the largest saved result has 3 MB
LARGEST_VALUES = 2**23  # of a JSON file: each takes some fifty bytes when it is read


def place_in(folder: str | Path, name: str) -> Path:
    """A place in a folder that somebody may have sent, or may have put links into.

    Raises:
        InputError: It leads out of the folder.
    """
    path = Path(folder) / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path} is a link out of its folder; put what it leads to there itself")
    return path


def file_in(folder: str | Path, name: str) -> Path:
    """A file of a folder that somebody may have sent.

    Args:
        folder: The folder; it may be a link itself, since the user named it.
        name: Of the file, which may not be there.

    Raises:
        InputError: What is there is a link out of the folder, or no ordinary file.
    """
    return require_ordinary(place_in(folder, name))


def require_ordinary(path: Path) -> Path:
    """Refuse what is there and no ordinary file: a folder, a pipe, a device.

    Raises:
        InputError: It is one of these.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not an ordinary file; put one in its place")
    return path


def require_small(path: Path) -> Path:
    """Refuse a file that is larger than any that is read whole.

    Raises:
        InputError: It is, or it is no ordinary file.
    """
    if (size := require_ordinary(path).stat().st_size) > LARGEST_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes, and at most {LARGEST_BYTES:,} are read; restore it"
        )
    return path


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        InputError: It is missing, no ordinary file, larger than 64 MB or not UTF-8.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; name a folder that holds it")
    require_small(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error}); restore it") from None


def read_json(path: str | Path, *, schema: str | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        schema: What it must be: a name in `lt_interp/schemas`.

    Raises:
        InputError: See `read_text`, or it is not JSON, of another format version, or not what the
            schema says.
    """
    text = read_text(path)
    try:
        value = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); restore or rebuild it") from None
    if schema is not None:
        _require_version(value, schema, Path(path))
        check(value, schema, str(path))
    return value


def parse_json(text: str) -> Any:
    """The value of a JSON text, by the letter of the format.

    Raises:
        ValueError: It is not JSON, holds NaN or infinity, nests too deeply or holds too many
            values to be one of our files.
    """
    require_few_values(text)
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def require_few_values(text: str) -> None:
    """Refuse JSON that takes far more memory than its text.

    Raises:
        ValueError: It holds too many values to be one of our files.
    """
    if text.count(",") + text.count("[") + text.count("{") > LARGEST_VALUES:
        raise ValueError(f"more than {LARGEST_VALUES:,} values")


def check(value: Any, schema: str, where: str) -> None:
    """Refuse a value that is not what a schema says.

    Args:
        value: Of a JSON file.
        schema: A name in `lt_interp/schemas`.
        where: The place to name in the error.

    Raises:
        InputError: It is something else; the message says where it differs first.
    """
    try:
        _validator(schema)(value)
    except JsonSchemaValueException as error:
        wrong = f"it{error.message.removeprefix('data')}".removeprefix("it.")
        raise InputError(f"{where} is damaged: {wrong}; restore or rebuild it") from None


def format_version(schema: str) -> int:
    """The version of a format that this code reads and writes."""
    return _schema(schema)["properties"]["format_version"]["const"]


@cache
def _schema(name: str) -> dict[str, Any]:
    return json.loads(files("lt_interp").joinpath("schemas", f"{name}.json").read_text("utf-8"))


@cache
def _validator(name: str) -> Callable[[Any], Any]:
    return fastjsonschema.compile(_schema(name), use_default=False)


def _require_version(stored: Any, schema: str, path: Path) -> None:
    """Refuse what another version of the format holds, and say what to do."""
    readable = format_version(schema)
    found = stored.get("format_version") if isinstance(stored, dict) else None
    if type(found) is not int:
        what = _schema(schema)["title"].partition(":")[0]
        raise InputError(f"{path} has no format_version, so it is no {what}; restore or rebuild it")
    if found > readable:
        raise InputError(
            f"{path} has format version {found}, and this lt_interp reads {readable}; a newer one "
            "wrote it: pip install --upgrade lt-interp"
        )
    if found < readable:
        raise InputError(
            f"{path} has format version {found}, which nothing reads any more ({readable} is "
            "current); build it again"
        )


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:20]} is larger than any number here")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
