"""What machines do: full and read-only disks, folders that vanish, clocks that jump."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lt_interp.cli.app import app
from lt_interp.errors import InputError
from lt_interp.files import remove_unfinished, write_text
from lt_interp.methods.result import Result
from lt_interp.training.loop import train
from lt_interp.training.metrics import read_metrics

from .inputs import RECIPE, cached_in, small_data, small_stage, train_small
from .kills import _trained as told
from .kills import _whole_results, _written

Remount = Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Remount]]:
    """A small disk of its own, and what mounts it again with other options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*words: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", *words, "tmpfs", place], check=True)

    try:
        mount("-o", "size=48k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here: it needs root")
    yield place, lambda options: mount("-o", f"remount,{options}")
    subprocess.run(["umount", "-l", place], check=True)


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="lt-interp")


def report(good: Path, out: Path) -> Any:
    return command(
        "report", "--corpus", good / "txt" / "corpus", "--workers", "1", "--out", out,
        "--stage", good / "checkpoint" / "run", "--only", "position_blindness",
    )  # fmt: skip


@contextmanager
def refused(status: int, *parts: str) -> Iterator[list[Any]]:
    """One line of an error and nothing else, with this exit status."""
    results: list[Any] = []
    yield results
    (result,) = results
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    said = result.stderr.splitlines()[-1]
    assert said.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert [part for part in parts if part not in said] == []


def test_training_on_a_full_disk_goes_on_where_there_is_room(
    good: Path, disk: tuple[Path, Remount]
) -> None:
    place, remount = disk
    with pytest.raises(OSError, match="No space left") as caught:
        train_small(good, place / "run")
    assert caught.value.errno == errno.ENOSPC
    assert not (place / "run" / "run.json").exists()
    remount("size=16m")
    train_small(good, place / "run")
    assert told(place / "run") == told(good / "checkpoint" / "run")


def test_a_report_on_a_full_disk_says_so_and_is_completed_where_there_is_room(
    good: Path, disk: tuple[Path, Remount], tmp_path: Path
) -> None:
    place, remount = disk
    assert report(good, tmp_path / "whole").exit_code == 0
    with refused(1, "No space left on device") as results:
        results.append(report(good, place / "pages"))
    _whole_results(place)
    remount("size=16m")
    assert report(good, place / "pages").exit_code == 0
    assert _written(place / "pages") == _written(tmp_path / "whole")


def test_token_rows_on_a_full_disk(good: Path, disk: tuple[Path, Remount]) -> None:
    place, _ = disk
    (place / "filler").write_bytes(bytes(44 * 1024))
    with (
        cached_in(place / "cache"),
        pytest.raises(
            InputError, match=r"cannot be written.*LT_INTERP_CACHE to a folder with room"
        ),
    ):
        small_data(good)
    assert not list(place.rglob("tokens.bin"))


def test_a_read_only_folder_is_refused_before_the_work(
    good: Path, disk: tuple[Path, Remount]
) -> None:
    place, remount = disk
    write_text(place / "pages" / "index.md", "what was there\n")
    remount("ro")
    with refused(2, "cannot be written") as results:
        results.append(report(good, place / "pages"))
    with refused(2, "cannot be written") as results:
        words = ["train", "03_bigram", "--corpus", good / "txt" / "corpus", "--out", place / "runs"]
        results.append(command(*words))
    with pytest.raises(OSError, match="Read-only"):
        train_small(good, place / "run")
    assert (place / "pages" / "index.md").read_text() == "what was there\n"


def test_a_run_whose_folder_is_deleted_ends_and_can_be_begun_again(
    good: Path, tmp_path: Path
) -> None:
    out, data = tmp_path / "run", small_data(good)

    def delete(done: int, _total: int, _line: dict[str, Any]) -> None:
        if done == 5:
            shutil.rmtree(out)

    with pytest.raises(InputError, match="was deleted while the run was under way; begin it again"):
        train(
            small_stage(data.tokenizer.d_vocab), data, RECIPE, seed=0, out=out, on_step=delete,
            snapshot_seconds=0,
        )  # fmt: skip
    assert not out.exists()
    train_small(good, out)
    assert told(out) == told(good / "checkpoint" / "run")


def test_a_checkpoint_that_is_deleted_while_it_is_analysed(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(good / "checkpoint" / "run", tmp_path / "run")
    from lt_interp.methods import study

    whole = study.measure_one

    def delete_first(*args: Any, **options: Any) -> Result:
        shutil.rmtree(folder)
        return whole(*args, **options)

    monkeypatch.setattr(study, "measure_one", delete_first)
    out = tmp_path / "pages"
    with refused(2, str(folder)) as results:
        results.append(
            command(
                "analyze", "evolution", "--corpus", good / "txt" / "corpus", "--workers", "1",
                "--stage", folder, "--out", out,
            )
        )  # fmt: skip
    assert not list(out.rglob("result.json"))


@pytest.mark.parametrize("jump", [-(10**9), 10**9], ids=["back", "forward"])
def test_a_clock_that_jumps_changes_nothing(
    jump: int, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, true = random.Random(0), time.time
    monkeypatch.setattr(time, "time", lambda: true() + rng.choice((0, jump)))
    train_small(good, tmp_path / "run", stop=True)
    os.utime(tmp_path / "run" / "snapshot.safetensors", (0, 0))
    train_small(good, tmp_path / "run")
    assert told(tmp_path / "run") == told(good / "checkpoint" / "run")
    seconds = [line["seconds"] for line in read_metrics(tmp_path / "run")]
    assert 0 <= min(seconds) <= max(seconds) < 300


def test_what_a_kill_left_is_deleted_once_it_is_old(tmp_path: Path) -> None:
    old, young = (tmp_path / "a" / f".result.json.unfinished-{name}" for name in ("old", "new"))
    folder = tmp_path / ".rows.unfinished-abc"
    for path in (old, young, folder / "tokens.bin"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    two_hours_ago = time.time() - 7200
    for path in (old, folder):
        os.utime(path, (two_hours_ago, two_hours_ago))
    remove_unfinished(tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", young]
