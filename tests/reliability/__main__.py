"""`python -m tests.reliability`: the slow part of what is promised, and the page that says so."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

from lt_interp.files import write_text

from .columns import Columns, check_columns, columns_of
from .fuzz import Findings, fuzz
from .inputs import SAVED, cached_in, write_inputs
from .kills import Kills, kill_analyze, kill_report, kill_training
from .memory import growth_mib, reports
from .page import TESTED, Row, page

ROOT = Path(__file__).parents[2]
PROCESSES = 2
Found = TypeVar("Found", Columns, Findings)
GROWTH_MIB = 1.0  # a report; less is rounding of pages


def main() -> int:
    """Try everything; the status is 1 if anything went wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=4_000)
    options.add_argument("--kills", type=int, default=120)
    options.add_argument("--command-kills", type=int, default=60)
    options.add_argument("--reports", type=int, default=10)
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, cached_in(Path(folder) / "rows"):
        rows, faults = soak(Path(folder), chosen)
    for fault in faults:
        print(fault, file=sys.stderr)
    write_text(chosen.out, page(rows))
    print(chosen.out)
    return 1 if faults else 0


def soak(folder: Path, amounts: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Try everything in a folder.

    Args:
        folder: An empty one.
        amounts: How many `inputs`, `kills`, `command_kills` and `reports`.

    Returns:
        A row of the page for each part, and what went wrong.
    """
    good = folder / "good"
    good.mkdir()
    write_inputs(good)
    rows: list[Row] = []
    faults: list[str] = []
    kinds: dict[str, tuple[Callable[..., Kills], int]] = {
        "training": (kill_training, amounts.kills),
        "`lt-interp analyze`": (kill_analyze, amounts.command_kills),
        "`lt-interp report`": (kill_report, amounts.command_kills),
    }
    for name, (kill, n) in kinds.items():
        began, work = time.monotonic(), folder / f"kill-{kill.__name__}"
        work.mkdir()
        found = kill(good, work, n)
        rows.append(Row.of_kills(name, found, time.monotonic() - began))
        faults += found.faults
        print(rows[-1], flush=True)
    inputs = _fuzz(good, folder, amounts.inputs)
    rows += Row.of_inputs(inputs)
    faults += inputs.faults
    columns = _columns(folder)
    rows.append(Row.of_columns(columns))
    faults += columns.faults
    held = reports(good, folder / "pages", amounts.reports)
    rows.append(Row.of_memory(held, growth_mib(held)))
    if growth_mib(held) > GROWTH_MIB:
        faults.append(f"memory grows by {growth_mib(held):.1f} MiB a report: {held}")
    for what, outcome, paths in TESTED:
        passed, said = _tests(paths)
        rows.append(Row(what, f"{passed} tests", outcome, f"`pytest {' '.join(paths)}`"))
        faults += said
    return rows, faults


def _tests(paths: tuple[str, ...]) -> tuple[int, list[str]]:
    """How many tests of some files pass, and what is said of those that do not."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    faults = [] if done.returncode == 0 else [done.stdout[-2000:]]
    return int(passed[1]) if passed else 0, faults


def _columns(folder: Path) -> Columns:
    """Every column of every saved result, a result at a time."""
    chosen = [{path: columns_of(path)} for path in SAVED.values()]
    work = [folder / f"columns-{name}" for name in SAVED]
    for place in work:
        place.mkdir()
    return _together(Columns(), check_columns, chosen, work)


def _fuzz(good: Path, folder: Path, n: int) -> Findings:
    """Changed inputs, in fresh processes whose memory is then that of the reading alone."""
    parts = [range(first, n, PROCESSES) for first in range(PROCESSES)]
    work = [folder / f"fuzz{place}" for place in range(PROCESSES)]
    for place in work:
        place.mkdir()
    return _together(Findings(), partial(fuzz, good), work, parts)


def _together(found: Found, work: Callable[..., Found], *items: Iterable[Any]) -> Found:
    """What fresh processes find, item by item, in one."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        for part in processes.map(work, *items):
            found.add(part)
    return found


if __name__ == "__main__":
    sys.exit(main())
