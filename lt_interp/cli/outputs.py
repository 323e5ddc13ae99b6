"""Where a command is asked to write, checked before the work instead of after it."""

from __future__ import annotations

import os
from pathlib import Path

from lt_interp.errors import InputError
from lt_interp.files import require_empty


def require_writable(path: Path) -> None:
    """Refuse a folder that cannot be written to, or be made.

    Args:
        path: The folder; it need not exist, and is not made.

    Raises:
        InputError: It, or the nearest folder above it that exists, is a file or is read-only.
    """
    there = next(p for p in (path.absolute(), *path.absolute().parents) if os.path.lexists(p))
    if not there.is_dir():
        raise InputError(f"{path} cannot be a folder: {there} is a file; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(
            f"{path} cannot be written: no permission in {there}; choose another place"
        )


def require_new_folder(path: Path) -> None:
    """Refuse a folder that would have to be replaced, or that cannot be written.

    Raises:
        InputError: It exists and is not empty, or see `require_writable`.
    """
    require_writable(path)
    require_empty(path)


def require_file_place(path: Path, *, suffix: str) -> None:
    """Refuse a file name that is a folder, has another suffix or lies where nothing can be written.

    Raises:
        InputError: One of these.
    """
    if path.suffix.lower() != suffix:
        raise InputError(f"{path} does not end in {suffix}; name a file that does")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    require_writable(path.parent)
