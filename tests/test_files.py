"""A file or folder is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import hashlib
import math
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lt_interp import files
from lt_interp.reading import read_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé"), inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values)
def test_json_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    files.write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes().endswith(b"\n")


def test_json_keeps_letters_readable(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"word": "naïve"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "word": "naïve"\n}\n'


@pytest.mark.parametrize("value", [math.nan, math.inf, {"deep": [-math.inf]}, {1, 2}])
def test_what_is_no_json_leaves_the_old_file_alone(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        files.write_json(path, value)
    assert read_json(path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole_in_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.txt"
    files.write_text(path, "first, and longer")
    files.write_text(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"
    with files.new_folder(target) as folder:
        (folder / "a.txt").write_text("a")
        assert folder != target
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_a_new_folder_replaces_the_old_one_entirely(tmp_path: Path) -> None:
    target = tmp_path / "one"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with files.new_folder(target) as folder:
        (folder / "new.txt").write_text("new")
        assert (target / "old.txt").exists()
    assert [path.name for path in target.iterdir()] == ["new.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "one"
    target.mkdir()
    (target / "old.txt").write_text("old")

    def half() -> None:
        with files.new_folder(target) as folder:
            (folder / "new.txt").write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [target]


@given(data=st.binary(max_size=300))
def test_hashes_of_bytes_and_of_files_agree_with_hashlib(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "data.bin"
    files.write_bytes(path, data)
    assert files.sha256_file(path) == files.sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_the_known_hash_of_nothing_and_of_abc() -> None:
    """The examples of FIPS 180-4."""
    assert files.sha256_bytes(b"").startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert files.sha256_bytes(b"abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LT_INTERP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert files.cache_folder() == tmp_path / ".cache" / "lt_interp"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.cache_folder() == tmp_path / "xdg" / "lt_interp"
    monkeypatch.setenv("LT_INTERP_CACHE", str(tmp_path / "own"))
    assert files.cache_folder() == tmp_path / "own"
    assert not (tmp_path / "own").exists()
