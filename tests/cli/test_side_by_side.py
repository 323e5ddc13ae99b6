"""Models measured at the same time: the same bytes as one after the other, and the same errors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

ANALYSES = ("evolution", "attention")


def words(out: Path, runs: Path, stories_file: Path, workers: int) -> list[object]:
    chosen = [word for name in ANALYSES for word in ("--only", name)]
    stages = [word for name in ("03_bigram", "04_attention") for word in ("--stage", runs / name)]
    common = ["report", "--corpus", stories_file, "--out", out, "--workers", workers]
    return [*common, *chosen, *stages]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_processes_write_the_same_bytes_as_one(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    for workers in (1, 2):
        result = run(*words(tmp_path / str(workers), runs, stories_file, workers))
        assert result.exit_code == 0, result.output
    one, two = files(tmp_path / "1"), files(tmp_path / "2")
    assert {Path(name).suffix for name in one} == {".md", ".csv", ".json", ".svg"}
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_an_error_in_a_process_is_one_line_and_leaves_nothing_half_written(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "runs"
    shutil.copytree(runs, damaged)
    weights = damaged / "04_attention" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    out = tmp_path / "out"
    result = run(*words(out, damaged, stories_file, 2))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    error = result.stderr.splitlines()[-1]
    assert error == f"error: {weights} is not the file that run.json describes; restore it"
    assert "Traceback" not in result.stderr
    # what is there is of the other model, and whole: the same command goes on from it
    assert {path.name for path in out.rglob("*") if path.is_file()} <= {"result.json"}
    shutil.copy(runs / "04_attention" / weights.name, weights)
    assert run(*words(out, damaged, stories_file, 1)).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["attention", "evolution", "index.md"]
