"""Files that are whole or absent: everything is written beside its place and renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lt_interp.errors import InputError

UNFINISHED = ".unfinished-"  # in the names of what is not in its place yet


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file so that no reader ever sees half of it.

    Args:
        path: Where the file belongs; missing parent folders are made.
        data: The whole content.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private; this is an ordinary file
        os.replace(temporary, path)
        _flush(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _flush(folder: Path) -> None:
    """Put a folder's names on the disk, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _prefix(path: Path) -> str:
    return f".{path.name[:50]}{UNFINISHED}"


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON with `write_bytes`; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Fill a temporary folder that takes the place of `path` only when the block succeeds.

    Args:
        path: The folder to make; one that exists already is replaced.

    Yields:
        The temporary folder to write into.
    """
    path = Path(path).resolve()  # of a link what it leads to
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (
        Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path))) for _ in range(2)
    )
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        if path.exists():
            os.replace(path, old)  # for a moment there is none, never half of one
        os.replace(temporary, path)
    finally:
        if not path.exists() and any(old.iterdir()):
            os.replace(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_unfinished(folder: str | Path, *, older_than_seconds: float = 3600.0) -> None:
    """Delete what processes left that were killed while they wrote.

    Args:
        folder: Where; folders in it are looked through too.
        older_than_seconds: What is younger may be another process's that is still writing.
    """
    for path in Path(folder).rglob(f".*{UNFINISHED}*"):
        with suppress(OSError):  # renamed into its place since, or not ours to delete
            if time.time() - path.lstat().st_mtime < older_than_seconds:
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def shown(name: str | Path) -> str:
    """A name as text: what is no UTF-8 in it, which systems allow, becomes question marks."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def require_empty(path: str | Path) -> None:
    """Refuse a place for a new folder where something is already.

    Raises:
        InputError: A file is there, or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(
            f"{path} is there already and not empty; delete it or choose another place"
        )


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder for what can be rebuilt: `LT_INTERP_CACHE`, or `lt_interp` in the user's cache.

    It can be deleted at any time.
    """
    if own := os.environ.get("LT_INTERP_CACHE"):
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lt_interp"


def trained_folder() -> Path:
    """The folder of the shipped tokenizers and checkpoints.

    An ordinary install carries it inside the package; a checkout has it beside the package.
    """
    package = Path(__file__).resolve().parent
    installed = package / "trained"
    return installed if installed.is_dir() else package.parent / "trained"
