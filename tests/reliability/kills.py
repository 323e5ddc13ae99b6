"""SIGKILL at random moments: what is left is whole, and going on ends as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lt_interp.cli.app import app
from lt_interp.files import UNFINISHED
from lt_interp.methods.result import RESULT, Result
from lt_interp.reading import read_json
from lt_interp.training.checkpoint import load
from lt_interp.training.metrics import read_metrics

from .inputs import train_small

DRAWN = (".md", ".svg", ".csv")


@dataclass
class Kills:
    """What came of killing one kind of work again and again.

    Attributes:
        kills: How many times a process was killed before it was done.
        runs: How many times the work was begun anew in an empty folder, and finished.
        faults: What should not have happened.
    """

    kills: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)


def kill_training(good: Path, work: Path, n_kills: int, *, seed: int = 0) -> Kills:
    """Kill training runs of the small stage, and compare each with one that nothing happened to."""
    return _kill_until(
        n_kills, work, seed, do=lambda out: train_small(good, out), look=_whole_run, told=_trained
    )


def kill_report(good: Path, work: Path, n_kills: int, *, seed: int = 0) -> Kills:
    """Kill `lt-interp report` on the small checkpoint, likewise."""
    words = ["report", "--corpus", str(good / "txt" / "corpus"), "--workers", "1"]
    words += ["--stage", str(good / "checkpoint" / "run")]
    words += ["--only", "position_blindness", "--only", "moe_routing"]
    return _kill_until(
        n_kills, work, seed, do=lambda out: _command(*words, "--out", str(out)),
        look=_whole_results, told=_written,
    )  # fmt: skip


def kill_analyze(good: Path, work: Path, n_kills: int, *, seed: int = 0) -> Kills:
    """Kill `lt-interp analyze`, likewise."""
    words = ["analyze", "evolution", "--corpus", str(good / "txt" / "corpus"), "--workers", "1"]
    words += ["--stage", str(good / "checkpoint" / "run"), "--prompt", "the dog"]
    return _kill_until(
        n_kills, work, seed, do=lambda out: _command(*words, "--out", str(out)),
        look=_whole_results, told=_written,
    )  # fmt: skip


def _kill_until(
    n_kills: int,
    work: Path,
    seed: int,
    *,
    do: Callable[[Path], Any],
    look: Callable[[Path], None],
    told: Callable[[Path], Any],
) -> Kills:
    """Run, kill and run again until enough kills fell in the middle of the work.

    Args:
        n_kills: How many.
        work: A folder for the outputs.
        seed: Of the moments.
        do: The work, into a folder.
        look: Raises if something in the folder is half written.
        told: What the finished work says, but for times.
    """
    rng, found = random.Random(seed), Kills()
    do(work / "first")  # imports what the copies of this process then have
    began = time.monotonic()
    _in_a_process(lambda: do(work / "whole"), None)
    whole_seconds = time.monotonic() - began
    wanted = told(work / "whole")
    while found.kills < n_kills:
        out = work / f"run{found.runs}"
        while not _in_a_process(lambda out=out: do(out), rng.uniform(0, whole_seconds)):
            found.kills += 1
            _noted(found, out, look)
        _noted(found, out, look)
        if told(out) != wanted:
            found.faults.append(f"{out.name} ended otherwise")
        found.runs += 1
        shutil.rmtree(out)
    return found


def _noted(found: Kills, out: Path, look: Callable[[Path], None]) -> None:
    try:
        look(out)
    except Exception:
        found.faults.append(f"{out.name}: {traceback.format_exc(limit=-2)}")


def _in_a_process(do: Callable[[], Any], seconds: float | None) -> bool:
    """Do something in a copy of this process, and kill it after a while.

    Returns:
        Whether it was done before.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            do()
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return _succeeded(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return _succeeded(status)


def _succeeded(status: int) -> bool:
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise AssertionError("the work failed by itself")
    return True


def _command(*words: str) -> None:
    app(list(words), prog_name="lt-interp", standalone_mode=False)


def _whole_run(out: Path) -> None:
    """Nothing in a run's folder is half a file; what says it is complete can be opened."""
    if not out.exists():
        return
    for name in ("config.json", "run.json"):
        if (out / name).exists():
            read_json(out / name)
    read_metrics(out)
    if (out / "run.json").exists():
        load(out)


def _trained(out: Path) -> dict[str, Any]:
    """Weights, metrics and card, but for seconds."""
    lines = [{**line, "seconds": 0} for line in read_metrics(out)]
    card = {**read_json(out / "run.json"), "seconds": 0}
    names = sorted(path.name for path in out.iterdir())
    return {
        "weights": (out / "model.safetensors").read_bytes(), "lines": lines, "card": card,
        "names": names,
    }  # fmt: skip


def _whole_results(out: Path) -> None:
    """Every result, also of a part of the work, can be read, and every page ends as it should."""
    for path in out.rglob(RESULT):
        Result.load(path.parent)
    for path in out.rglob("*.svg"):
        assert path.read_text(encoding="utf-8").endswith("</svg>\n") or UNFINISHED in path.name
    for path in out.rglob("*.md"):
        assert path.read_text(encoding="utf-8").endswith("\n") or UNFINISHED in path.name


def _written(out: Path) -> dict[str, bytes]:
    """Every file but what a kill left, which a later run deletes."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and UNFINISHED not in path.name
    }
