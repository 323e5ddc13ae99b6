"""The full report: one run of the command in a fresh folder, and where its time goes."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import Comparison
from lt_interp.methods.workers import n_cores

TARGET_SECONDS = 360
COSTLIEST = 15
# `lt-interp`, but its library says how long everything took.
COMMAND = """
import logging
from lt_interp.cli.app import app
from lt_interp.cli.quiet import quiet_libraries
quiet_libraries()
logging.getLogger("lt_interp").setLevel(logging.INFO)
app(prog_name="lt-interp")
"""
_PART = re.compile(r"(?P<title>.+) \(\d+ of \d+\)")  # what the command says as a part begins
_MODEL = re.compile(r"(?P<analysis>\w+) of (?P<item>\S+): (?P<seconds>[\d.]+) s")


@dataclass(frozen=True)
class Line:
    """A line that the command printed, and how many seconds after its start."""

    seconds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the command.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of all its processes together.
        peak_mib: The most memory that one of its processes held.
        lines: What it printed on standard error.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    lines: list[Line]


def compare() -> list[Comparison]:
    """One full run; nothing else does the same work."""
    with TemporaryDirectory() as folder:
        run = timed(Path(folder), ["report", "--out", str(Path(folder) / "reports")])
    return [
        Comparison(
            what="lt-interp report on the embedded corpus, all models",
            against="",
            target=TARGET_SECONDS,
            ours=[run.seconds],
            lower_is_better=True,
            notes={
                "processes": n_cores(),
                "cpu_minutes": round(run.cpu_seconds / 60, 2),
                "peak_mib_of_a_process": round(run.peak_mib),
                **profile(run.lines, run.seconds),
            },
        )
    ]


def timed(folder: Path, words: list[str]) -> Run:
    """Run the command with a cache of its own, and note when it says what.

    Raises:
        RuntimeError: It failed.
    """
    environment = os.environ | {"LT_INTERP_CACHE": str(folder / "cache")}
    before, began = _cpu_seconds(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = [Line(time.perf_counter() - began, text.rstrip("\n")) for text in process.stderr]
    if process.wait():
        raise RuntimeError("\n".join(line.text for line in lines))
    return Run(
        seconds=time.perf_counter() - began,
        cpu_seconds=_cpu_seconds() - before,
        peak_mib=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        lines=lines,
    )


def profile(lines: Iterable[Line], seconds: float) -> dict[str, Any]:
    """Where the time went.

    Args:
        lines: What the command printed.
        seconds: How long it took in all.

    Returns:
        Seconds by part of the run as a clock shows them, and the processor's seconds by analysis,
        by page, and of the costliest models of an analysis.
    """
    lines = list(lines)
    parts = [(line.seconds, found["title"]) for line in lines if (found := _begun(line))]
    ends = [*(at for at, _ in parts[1:]), seconds][: len(parts)]
    measured = [found for line in lines if (found := _MODEL.fullmatch(line.text))]
    pages = [found for found in measured if _is_page(found)]
    models = [found for found in measured if not _is_page(found)]
    costliest = sorted(models, key=lambda found: -float(found["seconds"]))[:COSTLIEST]
    return {
        "seconds_before_the_first_part": round(parts[0][0] if parts else seconds, 1),
        "seconds_by_part": {
            title: round(end - at, 1) for (at, title), end in zip(parts, ends, strict=True)
        },
        "cpu_seconds_by_analysis": _sums(models, "analysis"),
        "cpu_seconds_by_page": _sums(pages, "item"),
        "cpu_seconds_of_the_costliest": {
            f"{found['analysis']} of {found['item']}": float(found["seconds"])
            for found in costliest
        },
    }


def _begun(line: Line) -> re.Match[str] | None:
    return _PART.fullmatch(line.text)


def _sums(measured: Iterable[re.Match[str]], group: str) -> dict[str, float]:
    """Seconds by what a line names; several families have an analysis of one name."""
    sums: dict[str, float] = {}
    for found in measured:
        sums[found[group]] = round(sums.get(found[group], 0.0) + float(found["seconds"]), 2)
    return sums


def _is_page(found: re.Match[str]) -> bool:
    return found["analysis"] == "page"


def _cpu_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
