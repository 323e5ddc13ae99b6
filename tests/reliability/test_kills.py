"""A part of what `make soak` kills, and that its harness sees what is half written."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from lt_interp.methods.result import Result

from . import kills
from .inputs import train_small
from .kills import kill_analyze, kill_training


def test_killed_training_ends_with_the_same_bits(good: Path, tmp_path: Path) -> None:
    found = kill_training(good, tmp_path, 12)
    assert found.faults == []
    assert found.kills >= 12


def test_killed_between_the_card_and_the_end(good: Path, tmp_path: Path) -> None:
    """A soak of 122 kills met this moment twice: the snapshot stayed for ever."""
    run = Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))
    shutil.copy(good / "snapshot" / "run" / "snapshot.safetensors", run)
    (run / ".run.json.unfinished-abc").write_text("{")
    train_small(good, run)
    assert kills._trained(run) == kills._trained(good / "checkpoint" / "run")


def test_a_killed_analysis_leaves_no_half_result(good: Path, tmp_path: Path) -> None:
    found = kill_analyze(good, tmp_path, 4)
    assert found.faults == []
    assert found.kills >= 4


def test_the_harness_sees_half_a_file_and_another_end(tmp_path: Path) -> None:
    def careless(out: Path) -> None:
        """Writes in place, slowly, and every time something else."""
        folder = out / "evolution"
        folder.mkdir(parents=True, exist_ok=True)
        whole = tmp_path / f"whole-{time.monotonic_ns()}"
        Result(name="evolution", tables={}, meta={"at": time.monotonic_ns()}).save(whole)
        with (folder / "result.json").open("wb", buffering=0) as file:
            for byte in (whole / "result.json").read_bytes():
                file.write(bytes([byte]))
                time.sleep(0.001)

    found = kills._kill_until(
        5, tmp_path, 0, do=careless, look=kills._whole_results, told=kills._written
    )
    assert any("not valid JSON" in fault for fault in found.faults)
    assert any("ended otherwise" in fault for fault in found.faults)
