"""Shapes from the head of a weights file against its tensors, and heads that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lt_interp.errors import InputError
from lt_interp.training.run_folder import shipped_checkpoints, shipped_folder, stored_shapes

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write(folder: Path, head: Any, *, data: bytes = bytes(8)) -> None:
    """A weights file with any head."""
    text = json.dumps(head).encode()
    content = len(text).to_bytes(8, "little") + text + data
    (folder / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_shapes_are_those_of_the_tensors(name: str) -> None:
    folder = shipped_folder(name)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        found = {key: tuple(file.get_tensor(key).shape) for key in file.keys()}  # noqa: SIM118
    assert stored_shapes(folder) == found


def test_metadata_is_no_tensor(tmp_path: Path) -> None:
    tensors = {"embed.W_E": torch.zeros(7, 3), "unembed.b_U": torch.zeros(5), "one": torch.ones(())}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    shapes = {"embed.W_E": (7, 3), "unembed.b_U": (5,), "one": ()}
    assert stored_shapes(tmp_path) == shapes


def test_no_tensors_have_no_shapes(tmp_path: Path) -> None:
    save_file({}, tmp_path / "model.safetensors")
    assert stored_shapes(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0[]", b"short"])
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        stored_shapes(tmp_path)


@pytest.mark.parametrize("head", [b"", b"[]", b"\xff\xff", b"{", b"7", b"null"])
def test_other_files_are_named(tmp_path: Path, head: bytes) -> None:
    content = len(head).to_bytes(8, "little") + head
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors is not a safetensors file"):
        stored_shapes(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        1, {}, {"shape": [2]}, {"data_offsets": [0, 8]}, ENTRY | {"shape": 2},
        ENTRY | {"shape": [-1]}, ENTRY | {"shape": ["2"]}, ENTRY | {"shape": [True]},
        ENTRY | {"data_offsets": [8]}, ENTRY | {"data_offsets": [0, None]},
        ENTRY | {"shape": [10**12]}, ENTRY | {"dtype": "F16"}, ENTRY | {"dtype": "numbers"},
    ],
)  # fmt: skip
def test_an_entry_that_is_none(tmp_path: Path, wrong: Any) -> None:
    write(tmp_path, {"W_E": wrong})
    with pytest.raises(InputError, match=r"model\.safetensors is not a safetensors file"):
        stored_shapes(tmp_path)


def test_two_tensors_in_one_place(tmp_path: Path) -> None:
    write(tmp_path, {"W_E": ENTRY, "W_U": ENTRY})
    with pytest.raises(InputError, match=r"model\.safetensors is not a safetensors file"):
        stored_shapes(tmp_path)


@pytest.mark.parametrize("n_bytes", [0, 7, 9])
def test_a_file_of_another_length_than_its_head_says(tmp_path: Path, n_bytes: int) -> None:
    write(tmp_path, {"W_E": ENTRY}, data=bytes(n_bytes))
    with pytest.raises(InputError, match="is not a safetensors file"):
        stored_shapes(tmp_path)
    write(tmp_path, {"W_E": ENTRY})
    assert stored_shapes(tmp_path) == {"W_E": (2,)}


def test_a_head_larger_than_any_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="no stage has more than"):
        stored_shapes(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        stored_shapes(tmp_path)
