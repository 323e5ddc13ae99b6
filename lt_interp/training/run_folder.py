"""The folder of a trained model, found and read without a neural network library."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lt_interp.errors import InputError
from lt_interp.files import trained_folder
from lt_interp.reading import file_in, format_version, read_json
from lt_interp.stages import FAMILIES

FORMAT_VERSION = format_version("card")
WEIGHTS, CONFIG, CARD, METRICS = "model.safetensors", "config.json", "run.json", "metrics.jsonl"
LARGEST_WEIGHTS, LARGEST_HEAD = 2**29, 2**22  # bytes; the largest stage here has 12 MB and 5 KB
Shapes = dict[str, tuple[int, ...]]


def find_checkpoint(name: str | Path) -> Path:
    """The folder of a shipped checkpoint or of a path."""
    with suppress(OSError):  # no file can have such a name
        for folder in (Path(name), trained_folder() / name):
            if (folder / CONFIG).is_file():
                return folder
        if Path(name).is_dir():
            raise InputError(f"{name} is not a checkpoint: it has no {CONFIG}")
        if Path(name).is_file():
            raise InputError(
                f"{name} is a file, and a checkpoint is a folder; lt-interp convert makes one of a "
                "notebook's .pt file"
            )
    shipped = shipped_checkpoints()
    near = difflib.get_close_matches(str(name), shipped, n=3, cutoff=0.3) or shipped
    raise InputError(
        f"there is no checkpoint {str(name)!r}; nearest: {', '.join(near) or 'none is shipped'}"
        "; or name a folder"
    )


def shipped_checkpoints(*, family: str | None = None) -> list[str]:
    """Names of the checkpoints in the `trained` folder, of all families or of one."""
    folders = sorted(path.parent for path in trained_folder().glob(f"*/{CARD}"))
    return [
        folder.name
        for folder in folders
        if family is None or read_config(folder)["stage"] in FAMILIES[family]
    ]


def shipped_folder(name: str) -> Path:
    """Where something is in the `trained` folder: a checkpoint, or all `"tokenizers"`."""
    return trained_folder() / name


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint, as its schema says."""
    return read_json(file_in(folder, CONFIG), schema="config")


def read_card(folder: Path) -> dict[str, Any]:
    """The `run.json` of a checkpoint: what it was trained on, how, and how good it is.

    Of one that was converted from somebody's file none of this is on record: `converted_from` says
    which file, and those entries are `None`.
    """
    return read_json(file_in(folder, CARD), schema="card")


def stored_shapes(folder: Path) -> Shapes:
    """Shapes of a checkpoint's weights, from the head of its file; no weight is read.

    Raises:
        InputError: The file is missing, far larger than any stage's, or is not a safetensors file.
    """
    path = file_in(folder, WEIGHTS)
    if not path.exists():
        raise InputError(f"{path} does not exist; restore it")
    try:
        with path.open("rb") as head:
            size, size_of_head = path.stat().st_size, int.from_bytes(head.read(8), "little")
        if size > LARGEST_WEIGHTS or size_of_head > LARGEST_HEAD:
            raise InputError(
                f"{path} has {size:,} bytes, {size_of_head:,} of them names, and no stage has "
                f"more than {LARGEST_WEIGHTS:,} and {LARGEST_HEAD:,}; restore it"
            )
        with safe_open(path, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); restore it") from None
