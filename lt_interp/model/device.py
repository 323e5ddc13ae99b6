"""Where a model computes: the processor, or a CUDA device."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lt_interp.errors import InputError

AUTO = "auto"


def find_device(name: str | torch.device) -> torch.device:
    """The device of a name.

    Args:
        name: `"cpu"`, `"cuda"`, `"cuda:1"` and so on, or `"auto"`: CUDA where there is one.

    Raises:
        InputError: It is none of these, or there is no such device here.
    """
    name = str(name)
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == AUTO:
        name = "cuda" if n_cuda else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name):
        raise InputError(f"unknown device {name!r}; choose cpu, cuda, cuda:0 ... or auto")
    if name != "cpu" and int(name.partition(":")[2] or 0) >= n_cuda:
        there = f"the last one is cuda:{n_cuda - 1}" if n_cuda else "torch sees no CUDA device"
        raise InputError(f"there is no device {name} here: {there}; choose cpu or auto")
    if name != "cpu":  # read when the first product is made: sums in one order every time
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device(name)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products in bfloat16.

    A processor without them emulates them a hundred times slower.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextmanager
def in_one_order(device: torch.device) -> Iterator[None]:
    """Same command, same bits: on CUDA of two kernels the one that adds up in a fixed order."""
    before = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=lenient)
