"""Memory over many reports: the same work again takes no more."""

from __future__ import annotations

import gc
import re
from pathlib import Path

from typer.testing import CliRunner

from lt_interp.cli.app import app

MIB = 2**20


def bytes_of(name: str) -> int:
    """A line of what the system says of this process's memory, such as `"VmRSS"`: what it holds."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def reports(good: Path, out: Path, n: int, *, only: tuple[str, ...] = ()) -> list[float]:
    """Write the same report again and again in this process.

    Args:
        good: What `write_inputs` wrote.
        out: Where the pages go.
        n: How many times.
        only: Analyses; all that apply if none is named.

    Returns:
        Memory after each, in MiB.
    """
    words = ["report", "--corpus", str(good / "txt" / "corpus"), "--workers", "1"]
    words += ["--stage", str(good / "checkpoint" / "run"), "--out", str(out)]
    words += [word for name in only for word in ("--only", name)]
    held = []
    for _ in range(n):
        done = CliRunner().invoke(app, words, prog_name="lt-interp")
        assert done.exit_code == 0, done.output
        gc.collect()
        held.append(bytes_of("VmRSS") / MIB)
    return held


def growth_mib(held: list[float]) -> float:
    """Growth a report over the last half: at first caches fill and imports come."""
    half = held[len(held) // 2 :]
    return (half[-1] - half[0]) / max(1, len(half) - 1)
