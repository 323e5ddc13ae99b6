"""Two ways of doing the same work, timed in turn, as one row of the table."""

from __future__ import annotations

import os
import platform
import re
import resource
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import linregress


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one benchmark found.

    Attributes:
        what: The work, with its size.
        against: What does the same work for comparison; empty where nothing does.
        target: The ratio to reach (or, where `lower_is_better`, to stay below).
        ours: Seconds of every repeat.
        theirs: Seconds of the other way's repeat that followed; empty where there is none.
        lower_is_better: The figure is our time as a multiple of the other's (or seconds, where
            there is no other); otherwise how many times faster we are.
        notes: What a reader needs to judge the figure: sizes, peak memory, a profile.
    """

    what: str
    against: str
    target: float
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    lower_is_better: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def figure(self) -> float:
        """The median over repeats of the ratio (or of our seconds, where there is no other)."""
        if not self.theirs:
            return statistics.median(self.ours)
        ratios = [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        return statistics.median([1 / r for r in ratios] if self.lower_is_better else ratios)

    @property
    def reached(self) -> bool:
        """Whether the figure is as good as the target."""
        return self.figure <= self.target if self.lower_is_better else self.figure >= self.target

    def to_dict(self) -> dict[str, Any]:
        """The row with its raw values, for `results.json`."""
        return {
            "what": self.what,
            "against": self.against,
            "figure": round(self.figure, 3),
            "unit": "times" if self.theirs else "s",
            "target": self.target,
            "lower_is_better": self.lower_is_better,
            "reached": self.reached,
            "ours_seconds": [round(seconds, 5) for seconds in self.ours],
            "theirs_seconds": [round(seconds, 5) for seconds in self.theirs],
            "notes": self.notes,
        }


def upper_slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent that values grow with, over the upper half of sizes: fixed costs weigh least.

    Example:
        >>> upper_slope((1, 2, 4, 8), [9.0, 9.0, 4.0, 16.0])
        2.0
    """
    half = len(sizes) // 2 if len(sizes) > 3 else 0
    return linregress(np.log(sizes[half:]), np.log(values[half:])).slope


def peak_mib() -> float:
    """The most memory that this process has held since it began.

    `getrusage` would answer with that of the process which began this one, where it was more.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_instructions": torch.cpu._is_amx_tile_supported()
        or torch.cpu._is_avx512_bf16_supported(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformer-lens", "numpy")},
    }


def measure(name: str) -> list[dict[str, Any]]:
    """The rows of one benchmark, each with the machine that it ran on."""
    rows: list[Comparison] = import_module(f"benchmarks.{name}").compare()
    return [{**row.to_dict(), "machine": machine()} for row in rows]
