"""Files of strangers: weights are read, and nothing else is ever run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from lt_interp.errors import InputError
from lt_interp.files import sha256_bytes
from lt_interp.training import pt_file
from lt_interp.training.pt_file import read_pt

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Asks:
    """What a pickle of it asks for is a file made by the shell."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.place}'",)


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def write(folder: Path, data: bytes) -> Path:
    path = folder / "theirs.pt"
    path.write_bytes(data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_pt(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_both_formats_of_torch_save_are_read(zipped: bool, tmp_path: Path) -> None:
    data = saved(
        {"model_state_dict": WEIGHTS, "n_heads": 2, "history": {"loss": [1.5]}},
        _use_new_zipfile_serialization=zipped,
    )
    found = read_pt(write(tmp_path, data))
    assert found.tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(found.tensors[key], WEIGHTS[key]) for key in WEIGHTS)
    assert (found.name, found.sha256) == ("theirs.pt", sha256_bytes(data))
    assert (found.held_under, found.sizes) == ("model_state_dict", {"n_heads": 2})


CODE: dict[str, Callable[[Any], bytes]] = {
    "zip": saved,
    "old format": lambda value: saved(value, _use_new_zipfile_serialization=False),
    **{f"pickle {p}": lambda value, p=p: pickle.dumps(value, protocol=p) for p in range(6)},
}


@pytest.mark.parametrize("form", CODE)
def test_code_in_a_pickle_is_never_run(form: str, tmp_path: Path) -> None:
    place = tmp_path / "made"
    asks = {"model_state_dict": {"a": Asks(place)}}
    data = CODE[form](asks)
    said = refusal(write(tmp_path, data))
    assert not place.exists()
    named = "system to be run while it is read, and nothing of it was" in said
    assert named or "not a checkpoint of torch.save, or it is damaged" in said
    assert named or form in ("pickle 0", "pickle 4", "pickle 5")  # nothing torch ever writes
    pickle.loads(pickle.dumps(asks))  # the same pickle, trusted: what it asks for does happen
    assert place.exists()


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (torch.nn.Linear(2, 2), "asks for torch.nn.modules.linear.Linear to be run"),
        ({"state_dict": WEIGHTS, "loss": np.float64(2)}, "asks for numpy"),
        ([WEIGHTS], "holds a list, not a state dict"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
        ({"weights": WEIGHTS}, "(its keys: weights)"),
        ({}, "(its keys: none)"),
        ({**WEIGHTS, "epoch": 3}, "(its keys: a.weight, a.bias, epoch)"),
        ({"state_dict": WEIGHTS, "model": WEIGHTS}, "it has several: state_dict, model"),
        ({"model": {"a": 3}}, "model is not a state dict"),
        ({"model": {}}, "model is not a state dict"),
        ({"model": {3: torch.ones(2)}}, "model is not a state dict"),
    ],
)
def test_what_is_no_state_dict(value: Any, part: str, tmp_path: Path) -> None:
    assert part in refusal(write(tmp_path, saved(value)))


def zip_of_text() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/b.txt", "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"not a checkpoint\n", b"\x89PNG\r\n\x1a\n" + bytes(50), zip_of_text(),
        save({"a": torch.ones(3)}), saved(WEIGHTS)[:-40], saved(WEIGHTS)[:300],
        saved(WEIGHTS, _use_new_zipfile_serialization=False)[:-8],
    ],
    ids=["empty", "text", "png", "zip", "safetensors", "cut", "cut short", "old format cut"],
)  # fmt: skip
def test_what_is_no_checkpoint(data: bytes, tmp_path: Path) -> None:
    assert "not a checkpoint of torch.save, or it is damaged" in refusal(write(tmp_path, data))


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_is_a_clear_error_or_harmless(zipped: bool, tmp_path: Path) -> None:
    """Bytes changed at random: read as something, or refused; never another exception."""
    data = saved({"model_state_dict": WEIGHTS}, _use_new_zipfile_serialization=zipped)
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=3):
            damaged[place] = rng.integers(256)
        try:
            read_pt(write(tmp_path, bytes(damaged)))
        except InputError:
            refused += 1
    assert refused > 20


def test_an_archive_that_grows_is_refused(tmp_path: Path) -> None:
    plain = zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(100_000)})))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as small:
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry))
    assert "bytes when read" in refusal(write(tmp_path, buffer.getvalue()))


def test_a_file_of_another_size_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pt_file, "LARGEST_BYTES", 1000)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    path = tmp_path / "large.pt"
    with path.open("wb") as file:
        file.truncate(1001)
    assert "1,001 bytes, far more than any stage" in refusal(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "is a folder; name the .pt file" in refusal(tmp_path)
    assert "there is no file" in refusal(tmp_path / "nothing.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    assert "there is no file" in refusal(tmp_path / "pipe.pt")
