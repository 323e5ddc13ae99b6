"""The head of a weights file: every tensor's shape, read without any array library.

`safe_open` imports NumPy or torch for the arrays that it could read. The head needs neither: eight
bytes of its length, then JSON (github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lt_interp.errors import InputError
from lt_interp.reading import check, parse_json

LARGEST_WEIGHTS, LARGEST_HEAD = 2**29, 2**22  # bytes; the largest stage here has 12 MB and 5 KB
LENGTH = 8  # bytes that say how long the head is
Shapes = dict[str, tuple[int, ...]]


def shapes_of(path: Path) -> Shapes:
    """Shapes by the names of the tensors.

    Raises:
        InputError: The file is missing, far larger than any stage's, or is not a safetensors file.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; restore it")
    try:
        with path.open("rb") as file:
            size, size_of_head = path.stat().st_size, int.from_bytes(file.read(LENGTH), "little")
            if size > LARGEST_WEIGHTS or size_of_head > LARGEST_HEAD:
                raise InputError(
                    f"{path} has {size:,} bytes, {size_of_head:,} of them names, and no stage has "
                    f"more than {LARGEST_WEIGHTS:,} and {LARGEST_HEAD:,}; restore it"
                )
            head = file.read(size_of_head)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); restore it") from None
    entries = _entries(path, head)
    end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if LENGTH + size_of_head + end != size:
        raise InputError(
            f"{path} is not a safetensors file (it has {size:,} bytes, and its head says "
            f"{LENGTH + size_of_head + end:,}); restore it"
        )
    return {name: tuple(entry["shape"]) for name, entry in entries.items()}


def _entries(path: Path, head: bytes) -> dict[str, Any]:
    """What the head says of every tensor."""
    try:
        found = parse_json(head.decode())
    except ValueError as error:
        raise InputError(f"{path} is not a safetensors file ({error}); restore it") from None
    check(found, "weights", str(path))
    return {name: entry for name, entry in found.items() if name != "__metadata__"}
