"""Files from anybody are looked at before they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lt_interp import reading
from lt_interp.errors import InputError
from lt_interp.reading import check, file_in, format_version, parse_json, read_json, read_text

SCHEMAS = sorted(path.stem for path in (Path(reading.__file__).parent / "schemas").glob("*.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b'"\xe9"', "not UTF-8"),
        (b"[" * 100_000, "not valid JSON .nested too deeply"),
        (b"1" * 10_000, "not valid JSON"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b"[-Infinity]", "-Infinity is no JSON value"),
        (b"[1e999]", "1e999 is larger than any number"),
        (b"[" + b"[]," * 2**23 + b"0]", "more than 8,388,608 values"),
    ],
    ids=[
        "empty",
        "half",
        "latin 1",
        "deep",
        "long number",
        "nan",
        "infinity",
        "huge number",
        "many values",
    ],
)
def test_json_that_is_damaged_is_bad_input(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.json is {message}|{message}"):
        read_json(tmp_path / "a.json")


def test_json_that_is_missing_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        read_json(tmp_path / "none.json")


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room
    with pytest.raises(InputError, match="1,099,511,627,776 bytes, and at most 67,108,864"):
        read_text(path)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_only_ordinary_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.json"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(InputError, match=r"no.* ordinary file"):
        read_json(path)
    with pytest.raises(InputError, match=r"no.* ordinary file"):
        file_in(tmp_path, "a.json")


@pytest.mark.parametrize("target", ["../secret.txt", "/dev/zero", "{}/secret.txt"])
def test_a_link_out_of_a_folder_is_not_followed(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "run.json").symlink_to(target.format(tmp_path))
    with pytest.raises(InputError, match=r"run\.json is a link out of its folder"):
        file_in(folder, "run.json")


@pytest.mark.parametrize("name", ["../a.json", "/etc/passwd", "b/../../a.json"])
def test_a_name_that_leads_out_of_a_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a link out of its folder"):
        file_in(tmp_path / "folder", name)


def test_links_within_a_folder_and_to_the_folder_are_followed(tmp_path: Path) -> None:
    folder, link = tmp_path / "real", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    (folder / "a.json").write_text("1")
    (folder / "b.json").symlink_to("a.json")
    assert read_json(file_in(link, "b.json")) == 1


@given(st.text(max_size=40) | st.from_regex(r"[\[\]{}:,0-9\"eE.+\-a ]{0,30}", fullmatch=True))
def test_any_text_is_json_or_a_value_error(text: str) -> None:
    try:
        value = parse_json(text)
    except ValueError:
        return
    assert parse_json(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize("schema", SCHEMAS)
def test_versions(schema: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if schema == "metrics":  # lines without a version of their own
        pytest.skip("a log of lines has no version")
    now = format_version(schema)
    for version, message in (
        (now + 1, "a newer one wrote it: pip install --upgrade lt-interp"),
        (now - 1, "nothing reads any more"),
        (None, "no format_version"),
        (True, "no format_version"),
        ("1", "no format_version"),
    ):
        path.write_text(json.dumps({"format_version": version}))
        with pytest.raises(InputError, match=message):
            read_json(path, schema=schema)
    path.write_text("[]")
    with pytest.raises(InputError, match="no format_version"):
        read_json(path, schema=schema)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("schema", SCHEMAS)
@given(value=values)
def test_any_value_passes_or_is_refused(schema: str, value: Any) -> None:
    said = "somewhere is damaged: "
    try:
        check(value, schema, "somewhere")
    except InputError as error:
        said = str(error)
    assert said.startswith("somewhere is damaged: ")
