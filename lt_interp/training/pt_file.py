"""A PyTorch checkpoint (.pt), read without running anything that is in it."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.files import sha256_bytes
from lt_interp.training.pickle_ops import asked_for, what_is_asked

# The largest stage with its optimizer's state takes 30 MB; what is far beyond that is no stage.
LARGEST_BYTES = 2**28
LEGACY_PICKLES = 4  # before torch 1.6: a number, a version, sizes of this machine, the value
# Where people keep the weights among other things; the notebooks use the first.
STATE_DICT_KEYS = ("model_state_dict", "state_dict", "model")
# What damaged or hostile bytes make an unpickler, a zip reader or an allocation raise.
_UNREADABLE = (
    pickle.UnpicklingError, struct.error, zipfile.BadZipFile, ArithmeticError, AssertionError,
    AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PtFile:
    """What a checkpoint holds.

    Attributes:
        name: Of the file, without its folder.
        sha256: Of the file.
        held_under: The key of the weights; `None` where the file is a bare state dict.
        tensors: The weights by the names of the module that saved them.
        sizes: The whole numbers beside the weights, such as `n_heads`.
    """

    name: str
    sha256: str
    held_under: str | None
    tensors: dict[str, Tensor]
    sizes: dict[str, int]


def read_pt(path: str | Path) -> PtFile:
    """Read a checkpoint that `torch.save` wrote.

    Only tensors and plain values are built (`torch.load` with `weights_only=True`). A file that
    asks for more, as one that holds a whole module does, is refused before any of it is run.

    Args:
        path: The file: a state dict, or a dict that holds one under `model_state_dict`,
            `state_dict` or `model`.

    Raises:
        InputError: It is missing, too large, damaged, asks for code, or holds no weights.
    """
    path = Path(path)
    data = _read_bytes(path)
    loaded = _load(path, data)
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path} holds a {type(loaded).__name__}, not a state dict; save model.state_dict()"
        )
    key, tensors = _state_dict(path, loaded)
    beside = {} if key is None else {k: v for k, v in loaded.items() if type(v) is int}
    return PtFile(
        name=path.name,
        sha256=sha256_bytes(data),
        held_under=key,
        tensors=tensors,
        sizes=beside,
    )


def _read_bytes(path: Path) -> bytes:
    """The whole file, which is then hashed and loaded: no other file can come between."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the .pt file")
    if not path.is_file():
        raise InputError(f"there is no file {path}; name the .pt file that a notebook saved")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes, far more than any stage (at most {LARGEST_BYTES:,} are "
            "read); save the model's state dict alone"
        )
    return path.read_bytes()


def _load(path: Path, data: bytes) -> Any:
    try:
        if reason := _why_not(data):
            raise _refusal(path, reason)
        with warnings.catch_warnings():  # torch's hints on other ways to load
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except _UNREADABLE as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            raise _refusal(path, asked_for(asked[1])) from None
        raise InputError(
            f"{path} is not a checkpoint of torch.save, or it is damaged; nothing of it was used"
        ) from None


def _refusal(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} {reason}; save the model's state dict alone: torch.save(model.state_dict(), PATH)"
    )


def _why_not(data: bytes) -> str | None:
    """Why a file is refused before torch sees it: it would grow, or asks for too much."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return what_is_asked(data, n_pickles=LEGACY_PICKLES)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > len(data):  # torch.save never compresses
            return (
                f"would grow from {len(data):,} to {size:,} bytes when read, which no file of "
                "torch.save does"
            )
        scripts = [name for name in archive.namelist() if name.endswith(".pkl")]
        reasons = (what_is_asked(archive.read(name)) for name in scripts)
        return next((reason for reason in reasons if reason), None)


def _state_dict(path: Path, loaded: Mapping[Any, Any]) -> tuple[str | None, dict[str, Tensor]]:
    """The weights, and the key that they are held under."""
    if _is_state_dict(loaded):
        return None, dict(loaded)
    held = [key for key in STATE_DICT_KEYS if isinstance(loaded.get(key), Mapping)]
    if len(held) != 1:
        found = f"it has several: {', '.join(held)}" if held else f"its keys: {_listed(loaded)}"
        raise InputError(
            f"{path} is neither a state dict nor a dict with one under {_listed(STATE_DICT_KEYS)} "
            f"({found}); save model.state_dict()"
        )
    inner = loaded[held[0]]
    if not _is_state_dict(inner):
        raise InputError(
            f"{path}: {held[0]} is not a state dict, which holds named tensors and at least one; "
            "save model.state_dict()"
        )
    return held[0], dict(inner)


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    """Whether it is names and tensors, and not empty."""
    named = all(
        isinstance(key, str) and isinstance(t, Tensor) and not t.is_nested
        for key, t in value.items()
    )
    return named and bool(value)


def _listed(keys: Any) -> str:
    return ", ".join(str(key) for key in keys) or "none"
