"""One process at a time trains into a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lt_interp.errors import InputError


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a folder while a run is under way in it.

    The lock is the system's and on the folder itself: it leaves no file, and a process that ends,
    however it ends, holds none.

    Raises:
        InputError: Another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is training into {folder}; wait for it, or choose another --out"
            ) from None
        yield
    finally:
        os.close(handle)
