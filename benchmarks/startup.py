"""Start of the command line: `lt-interp --help` and `lt-interp stages`, over an empty Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Comparison
from lt_interp.methods.timing import in_turn

COMMANDS = (["--help"], ["stages"])
PROGRAM = str(Path(sys.executable).with_name("lt-interp"))


def compare() -> list[Comparison]:
    """Seconds above `python -c pass`, in turn with it."""
    return [_compare(command) for command in COMMANDS]


def _compare(command: list[str]) -> Comparison:
    program, empty = [PROGRAM, *command], [sys.executable, "-c", "pass"]
    ours, theirs = in_turn(lambda: _run(program), lambda: _run(empty))
    return Comparison(
        what=f"lt-interp {' '.join(command)}, seconds above python -c pass",
        against="",
        target=0.4,
        lower_is_better=True,
        ours=[mine - without for mine, without in zip(ours, theirs, strict=True)],
        notes={"python_seconds": round(statistics.median(theirs), 4)},
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
