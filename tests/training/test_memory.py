"""Freed memory stays while training asks for it, and not after."""

from __future__ import annotations

import ctypes
import platform
import resource

import pytest
import torch

from lt_interp.training.memory import kept_memory

ONLY_GNU = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
HUNDRED_MEGABYTES = 100 * 2**20


def resident() -> int:
    """Bytes of this process that lie in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def taken_and_given_back() -> int:
    """Bytes that stay in memory of eight parts of 24 MB, written and freed."""
    before = resident()
    parts = [torch.ones(24 * 2**20, dtype=torch.uint8) for _ in range(8)]
    assert resident() - before > HUNDRED_MEGABYTES
    del parts
    return resident() - before


@ONLY_GNU
def test_freed_memory_stays_until_the_end() -> None:
    with kept_memory():
        pass  # what earlier tests left goes back
    before = resident()
    with kept_memory():
        assert taken_and_given_back() > HUNDRED_MEGABYTES
    assert resident() - before < HUNDRED_MEGABYTES


def test_elsewhere_the_c_library_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("asked"))
    with kept_memory():
        pass
