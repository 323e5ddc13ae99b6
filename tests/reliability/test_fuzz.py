"""A part of what `make soak` tries, and that its harness sees what goes wrong."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from lt_interp.errors import InputError

from . import fuzz, openers
from .fuzz import one_case
from .openers import OPENERS
from .strangers import change_model

CASES = 400


@pytest.mark.parametrize("part", range(4))
def test_changed_inputs_are_read_or_refused(part: int, good: Path, tmp_path: Path) -> None:
    found = fuzz.fuzz(good, tmp_path, range(part, CASES, 4))
    assert found.faults == []
    assert sum(sum(counts.values()) for counts in found.outcomes.values()) == CASES // 4
    totals = {said: sum(c[said] for c in found.outcomes.values()) for said in ("read", "refused")}
    assert min(totals.values()) > 10, totals  # neither everything nor nothing is let in


@pytest.mark.parametrize("kind", OPENERS)
def test_the_good_inputs_are_read(kind: str, good: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    case = tmp_path / "case"
    shutil.copytree(good / kind, case)
    OPENERS[kind](good, case, tmp_path / "out")


def _raises(*_: Path) -> None:
    raise KeyError("no such thing")


def _says_nothing(*_: Path) -> None:
    raise InputError("")


def _writes_elsewhere(_good: Path, case: Path, _out: Path) -> None:
    (case.parent.parent / "evil").write_text("evil")


def _never_ends(*_: Path) -> None:
    time.sleep(60)


@pytest.mark.parametrize(
    ("opener", "said"),
    [
        (_raises, "KeyError"),
        (_says_nothing, "without a word"),
        (_writes_elsewhere, "evil"),
        (_never_ends, "more than 1 s"),
    ],
)
def test_the_harness_sees_a_fault(
    opener: openers.Open, said: str, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "LONGEST_SECONDS", 1)
    monkeypatch.setattr(fuzz, "OPENERS", dict.fromkeys(OPENERS, opener))
    _, _, fault = one_case(good, tmp_path, seed=3)
    assert said in fault


def test_the_harness_sees_memory(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "MOST_BYTES", -1)
    assert "a process took" in fuzz.fuzz(good, tmp_path, [0]).faults[-1]


def test_a_config_that_its_card_vouches_for_is_another_model(good: Path, tmp_path: Path) -> None:
    """The opener of checkpoints compares logits: a change that gets past every check shows."""
    case = tmp_path / "case"
    shutil.copytree(good / "checkpoint", case)
    change_model(case / "run", activation="gelu")
    with pytest.raises(AssertionError, match="another model"):
        openers.checkpoint(good, case, tmp_path)
