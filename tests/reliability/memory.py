"""Memory over many reports: the same work again takes no more."""

from __future__ import annotations

import gc
from pathlib import Path

from typer.testing import CliRunner

from lt_interp.cli.app import app

MIB = 2**20


def resident_mib() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MIB


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
        held.append(resident_mib())
    return held


def growth_mib(held: list[float]) -> float:
    """Growth a report over the last half: at first caches fill and imports come."""
    half = held[len(held) // 2 :]
    return (half[-1] - half[0]) / max(1, len(half) - 1)
