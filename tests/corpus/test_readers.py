"""What stands between delimiter lines, and what each format says about a broken file."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lt_interp.corpus.readers import PARQUET_BATCH_ROWS, read_stories, stories_in
from lt_interp.errors import InputError


def refused(path: Path, *words: str) -> None:
    """Reading fails with one line that holds the file's name and all the words."""
    with pytest.raises(InputError) as caught:
        list(read_stories(path))
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


@pytest.mark.parametrize(
    ("text", "stories"),
    [
        ("one\n<|endoftext|>\ntwo\n<|endoftext|>\n", ["one", "two"]),
        ("one\n\n <|endoftext|>\t\n\n\ntwo", ["one", "two"]),
        ("\ufeffone\r\n\r\nmore\r\n<|endoftext|>\r\ntwo\r\n", ["one\n\nmore", "two"]),
        ("<|endoftext|>\n<|endoftext|>\none\n<|endoftext|>", ["one"]),
        ("no line <|endoftext|> of its own", ["no line <|endoftext|> of its own"]),
        (" \n ", []),
    ],
)
def test_stories_stand_between_delimiter_lines(
    tmp_path: Path, text: str, stories: list[str]
) -> None:
    assert list(stories_in(text)) == stories
    (tmp_path / "book.TXT").write_bytes(text.encode())
    assert list(read_stories(tmp_path / "book.TXT")) == stories


def test_text_is_read_as_it_is_needed() -> None:
    """A pipe that is never closed gives its first story: nothing waits for the file's end."""
    reader, writer = os.pipe()
    os.write(writer, b"one\n<|endoftext|>\n" + b"two\n" * 8_000)
    link = Path(f"/dev/fd/{reader}")
    if not link.exists():
        pytest.skip("no /dev/fd here")
    from lt_interp.corpus import readers

    assert next(readers._read_txt(link)) == "one"
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"\xff\xfeo\x00", "byte 0 is 0xff"),
        (b"one\n<|endoftext|>\ntwo\nthr\xe9e\n", "byte 25 is 0xe9"),
        (b"one\n<|endoftext|>\ncut \xe2\x82", "byte 22 is 0xe2"),
    ],
)
def test_bytes_that_are_not_utf8_are_named_by_their_offset(
    tmp_path: Path, content: bytes, place: str
) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    refused(path, "not UTF-8", place)


def test_lines_that_end_in_carriage_returns_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"one\r<|endoftext|>\rtwo\r")
    refused(path, "carriage returns alone", "line feeds")
    path.write_bytes(b"one\r\r\n<|endoftext|>\r\ntwo")
    assert list(read_stories(path)) == ["one", "two"]


def test_an_offset_in_jsonl_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    path.write_bytes(b'{"text": "one"}\n{"text": "\xe9"}\n')
    refused(path, "not UTF-8", "byte 26 is 0xe9")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'text': 'two'}", ["line 3", "not JSON"]),
        ('["two"]', ["line 3", "not a JSON object"]),
        ('{"id": 2, "story": "two"}', ["line 3", "no 'text' column", "'id', 'story'"]),
        ("{}", ["line 3", "no 'text' column", "none"]),
        ('{"text": null}', ["line 3", "NoneType", "string"]),
        ('{"text": 7}', ["line 3", "int", "string"]),
        ('{"text": "a \\ud800 b"}', ["line 3", "not valid Unicode", "character 2"]),
    ],
)
def test_a_bad_line_of_jsonl_is_named_by_its_number(
    tmp_path: Path, line: str, words: list[str]
) -> None:
    path = tmp_path / "book.jsonl"
    path.write_text('{"text": "one"}\n\n' + line + "\n")
    stories = read_stories(path)
    assert next(stories) == "one"  # a blank line is skipped, and still counts
    refused(path, *words)


def test_parquet_without_a_text_column_lists_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    parquet.write_table(pa.table({"id": [1], "story": ["one"]}), path)
    refused(path, "no 'text' column", "'id', 'story'")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array(["one", None]), ["row 1", "NoneType"]),
        (pa.array([7]), ["row 0", "int"]),
        (pa.array([b"one"], pa.binary()), ["row 0", "bytes"]),
        (pa.array([{"text": "one"}]), ["'text' is of type struct"]),
        (pa.array([b"one", b"\xe9"], pa.binary()).view(pa.string()), ["row 1", "not UTF-8"]),
    ],
)
def test_parquet_values_that_are_no_strings_are_named_by_their_row(
    tmp_path: Path, values: pa.Array, words: list[str]
) -> None:
    path = tmp_path / "book.parquet"
    parquet.write_table(pa.table({"text": values}), path)
    refused(path, *words)


@pytest.mark.parametrize("damage", ["empty", "other", "cut", "scratched"])
def test_what_is_no_whole_parquet_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "book.parquet"
    text = [f"Story {i}" for i in range(1_000)]
    parquet.write_table(pa.table({"text": text}), path, compression="gzip")
    whole = path.read_bytes()
    scratched = whole[:200] + bytes(200) + whole[400:]
    broken = {"empty": b"", "other": b"Once upon a time", "cut": whole[:-9], "scratched": scratched}
    path.write_bytes(broken[damage])
    refused(path)


def test_parquet_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "book.parquet"
    text = pa.table({"other": list(range(2_500)), "text": [f"Story {i}" for i in range(2_500)]})
    parquet.write_table(text, path, row_group_size=700)
    asked: list[tuple[int, list[str]]] = []
    real = parquet.ParquetFile.iter_batches

    def watched(self: parquet.ParquetFile, size: int, *, columns: list[str]):
        asked.append((size, columns))
        return real(self, size, columns=columns)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", watched)
    assert list(itertools.islice(read_stories(path), 2_500)) == text["text"].to_pylist()
    assert asked == [(PARQUET_BATCH_ROWS, ["text"])]


def test_a_file_that_vanished_is_refused_in_one_line(tmp_path: Path) -> None:
    for suffix in ("txt", "jsonl", "parquet"):
        refused(tmp_path / f"gone.{suffix}", "cannot be read", "No such file")
