"""Changed inputs by seed: each is read to the end or refused in words, and nothing else happens."""

from __future__ import annotations

import random
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lt_interp.errors import InputError

from .memory import bytes_of
from .mutations import mutate
from .openers import OPENERS, WEIGHTS

LONGEST_SECONDS = 30
MOST_BYTES = 2**30
WAS_RUN = Path("/tmp/lt_interp_was_run")


@dataclass
class Findings:
    """What came of many changed inputs.

    Attributes:
        outcomes: How many of each kind were read, and how many refused.
        faults: What should not have happened, one text a case.
        peak_bytes: The most memory that a process took, beyond what it held before.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    peak_bytes: int = 0

    def add(self, other: Findings) -> None:
        """Take in what another process found."""
        for kind, counts in other.outcomes.items():
            self.outcomes.setdefault(kind, Counter()).update(counts)
        self.faults += other.faults
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)


def fuzz(good: Path, work: Path, seeds: Iterable[int]) -> Findings:
    """Change and read one input a seed.

    Args:
        good: What `write_inputs` wrote.
        work: An empty folder for the cases.
        seeds: Which; a seed decides the kind and the change.
    """
    torch.set_num_threads(1)
    before = _forget_peak()
    findings = Findings()
    for seed in seeds:
        kind, said, fault = one_case(good, work, seed)
        findings.outcomes.setdefault(kind, Counter())[said] += 1
        if fault:
            findings.faults.append(f"seed {seed}, {kind}, {fault}")
    findings.peak_bytes = bytes_of("VmHWM") - before
    if findings.peak_bytes > MOST_BYTES:
        findings.faults.append(f"a process took {findings.peak_bytes:,} bytes")
    return findings


def one_case(good: Path, work: Path, seed: int) -> tuple[str, str, str]:
    """The kind of a case, whether it was read or refused, and what was wrong, empty if nothing."""
    rng = random.Random(seed)
    weights = [WEIGHTS.get(kind, 1.0) for kind in OPENERS]
    (kind,) = rng.choices(list(OPENERS), weights)
    case, out = work / "inner" / "case", work / "inner" / "out"
    shutil.copytree(good / kind, case)
    out.mkdir()
    changed = mutate(case, rng)
    fault, said = "", "read"
    try:
        with _limited():
            OPENERS[kind](good, case, out)
    except InputError as error:
        said = "refused"
        if not str(error).strip():
            fault = f"{changed}: refused without a word"
    except IsADirectoryError as error:  # where a page belongs
        said = "refused"
        if error.filename is None:
            fault = f"{changed}: no file is named"
    except BaseException:
        said, fault = "fault", f"{changed}:\n{traceback.format_exc(limit=-4)}"
    outside = {path.name for path in work.iterdir()} | {p.name for p in (work / "inner").iterdir()}
    if outside != {"inner", "case", "out"} or WAS_RUN.exists():
        fault += f"{changed}: made {sorted(outside)}, code was run: {WAS_RUN.exists()}"
    shutil.rmtree(work / "inner")
    return kind, said, fault


class TooLongError(BaseException):
    """A case did not end."""


@contextmanager
def _limited() -> Iterator[None]:
    """An end in time."""

    def stop(*_: Any) -> None:
        raise TooLongError(f"more than {LONGEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> int:
    """Let the most memory that this process held be what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")
    return bytes_of("VmRSS")
