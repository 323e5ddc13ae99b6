"""Stories out of one file, one after another: `.txt`, `.parquet` and `.jsonl`.

A story is what stands between two delimiter lines `<|endoftext|>`, without the white space around
it. A `text` value of a table is read by the same rule, so a corpus has the same stories, and the
same hash, in every format. No reader holds more than one story or one batch of a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from lt_interp.errors import InputError
from lt_interp.reading import require_ordinary

DELIMITER = "<|endoftext|>"
PARQUET_BATCH_ROWS = 100
LARGEST_STORY_BYTES = 2**22  # more is no story; encoding one takes some fifty times its size
LARGEST_GROWTH = 50  # of a parquet file; text becomes three times smaller, seldom ten
BYTES_A_ROW = 4  # in memory, beside its text
LEAST_LIMIT_BYTES = 2**26  # what even the smallest file may grow to

# Each may begin at one place of a run of white space alone, or a long run takes its square in time.
_DELIMITER_LINE = re.compile(rf"^[^\S\n]*{re.escape(DELIMITER)}[^\S\n]*$", flags=re.MULTILINE)
_LINE_END = re.compile(r"(?<!\r)\r+\n")


def read_stories(path: Path) -> Iterator[str]:
    """Yield the stories of one file in order.

    Args:
        path: A file whose suffix is one of `SUFFIXES`.

    Yields:
        Non-empty stories without surrounding white space, lines ended by a line feed.

    Raises:
        InputError: The file cannot be read, is not UTF-8, is not the format that its suffix says,
            has no `text` column or holds a `text` that is not a string.
    """
    require_suffix(path)
    try:
        yield from _READERS[path.suffix.lower()](require_ordinary(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); restore it") from None


def require_suffix(path: Path) -> None:
    """Refuse a file whose suffix names no format that `read_stories` knows.

    Raises:
        InputError: The suffix is unknown; the message lists the known ones.
    """
    if path.suffix.lower() not in _READERS:
        allowed = ", ".join(SUFFIXES)
        raise InputError(
            f"{path}: unknown suffix {path.suffix!r}; a corpus file ends in one of {allowed}"
        )


def stories_in(text: str) -> Iterator[str]:
    r"""Cut text at its delimiter lines.

    Line ends become `\n` and byte order marks go, so that a file saved on another system is the
    same corpus. The stories of a story are that story.

    Example:
        >>> list(stories_in("A cat.\r\n<|endoftext|>\r\n\r\n<|endoftext|>\nA dog."))
        ['A cat.', 'A dog.']
    """
    text = _LINE_END.sub("\n", text.replace("\ufeff", ""))
    pieces = _DELIMITER_LINE.split(text) if DELIMITER in text else [text]
    for piece in pieces:
        if story := piece.strip():
            yield story


def require_text_column(columns: Collection[str], where: str) -> None:
    """Refuse a table without a `text` column.

    Args:
        columns: The names of the columns there are.
        where: The place to name in the error.

    Raises:
        InputError: No column is called `text`; the message lists those there are.
    """
    if "text" not in columns:
        there = ", ".join(map(repr, columns)) or "none"
        raise InputError(
            f"{where} has no 'text' column; its columns are {there}: rename the one with stories"
        )


def require_text(value: Any, where: str) -> str:
    """Refuse a `text` value that is not a string of valid Unicode, or longer than stories are.

    Args:
        value: What stands in the `text` column.
        where: The place to name in the error.

    Returns:
        The value itself.

    Raises:
        InputError: The value is missing, of another type, holds half of a surrogate pair or has
            millions of characters.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise InputError(f"{where}: 'text' is of type {kind}; every text must be a string")
    if len(value) > LARGEST_STORY_BYTES:
        raise InputError(_too_long(where))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: 'text' is not valid Unicode ({error.reason} at character {error.start}); "
            "mend or remove it"
        ) from None
    return value


def _read_txt(path: Path) -> Iterator[str]:
    lines: list[bytes] = []
    start = offset = 0
    with path.open("rb") as file:
        while line := file.readline(LARGEST_STORY_BYTES):
            offset += len(line)
            lines.append(line)
            if offset - start > LARGEST_STORY_BYTES:
                raise InputError(_too_long(f"{path}, from byte {start}"))
            if line.strip() == DELIMITER.encode():
                yield from stories_in(_decode(b"".join(lines), path, start))
                lines, start = [], offset
    rest = b"".join(lines)
    if start == 0 and b"\n" not in rest and b"\r" + DELIMITER.encode() in rest:
        raise InputError(
            f"{path} ends its lines with carriage returns alone, so its stories cannot be told "
            "apart; end them with line feeds"
        )
    yield from stories_in(_decode(rest, path, start))


def _read_jsonl(path: Path) -> Iterator[str]:
    offset = 0
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(LARGEST_STORY_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            if len(line) == LARGEST_STORY_BYTES:
                raise InputError(_too_long(f"{path}, line {number}"))
            text = _decode(line, path, offset).removeprefix("\ufeff").strip()
            offset += len(line)
            if text:
                yield from stories_in(_json_text(text, f"{path}, line {number}"))


def _json_text(line: str, where: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits among them
        reason = getattr(error, "msg", error)
        raise InputError(f"{where}: not JSON ({reason}); mend or remove the line") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a JSON object; every line must be one with a 'text'")
    require_text_column(record, where)
    return require_text(record["text"], where)


def _read_parquet(path: Path) -> Iterator[str]:
    import pyarrow
    from pyarrow import parquet

    row = size = 0
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            require_text_column(schema.names, str(path))
            kind = schema.types[schema.names.index("text")]
            if pyarrow.types.is_nested(kind):
                raise InputError(f"{path}: 'text' is of type {kind}; every text must be a string")
            _refuse_growth(path, _claimed_bytes(file.metadata))
            for batch in file.iter_batches(PARQUET_BATCH_ROWS, columns=["text"]):
                for value in batch.column(0):
                    text = require_text(value.as_py(), f"{path}, row {row}")
                    size += len(text)
                    _refuse_growth(path, size)
                    yield from stories_in(text)
                    row += 1
    except (pyarrow.ArrowException, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is not a parquet file ({reason}); write it anew") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}, row {row}: 'text' is not UTF-8; convert it to UTF-8") from None


def _claimed_bytes(metadata: Any) -> int:
    """How large the texts of a parquet file are, by what it says of itself, empty ones included."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    texts = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "text")
    return texts + BYTES_A_ROW * metadata.num_rows


def _refuse_growth(path: Path, size: int) -> None:
    """Refuse a small file that becomes a very large one when it is read."""
    if size > max(LEAST_LIMIT_BYTES, LARGEST_GROWTH * path.stat().st_size):
        raise InputError(
            f"{path}: 'text' grows to {size:,} bytes when read, more than {LARGEST_GROWTH} times "
            "the file; write it anew with less compression"
        )


def _too_long(where: str) -> str:
    return (
        f"{where}: a story of more than {LARGEST_STORY_BYTES:,} bytes; put a line {DELIMITER} "
        "between stories"
    )


def _decode(data: bytes, path: Path, start: int) -> str:
    """Decode UTF-8 that begins at byte `start` of the file; cuts fall on line ends only."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte {start + error.start} is 0x{data[error.start]:02x}; "
            "convert the file to UTF-8"
        ) from None


_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _read_txt,
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
}
SUFFIXES = tuple(_READERS)
