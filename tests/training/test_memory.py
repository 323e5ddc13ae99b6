"""Freed memory stays while training asks for it, and not after."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from lt_interp.training.memory import kept_memory

ONLY_GNU = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
PAGES = 20 * 2**20 // resource.getpagesize()


def faults(times: int) -> int:
    """Page faults while 20 MB are taken, written and given back so often."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(20 * 2**20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@ONLY_GNU
def test_memory_that_is_asked_for_again_brings_no_page_faults() -> None:
    with kept_memory():
        faults(1)
        assert faults(20) < PAGES


@ONLY_GNU
def test_afterwards_it_goes_back() -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    with kept_memory():
        parts = [torch.ones(16 * 2**20, dtype=torch.uint8) for _ in range(8)]
        del parts
        during = resident()
    assert during - resident() > 100 * 2**20 // resource.getpagesize()


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with kept_memory():
        assert faults(1) >= 0
