"""Work in processes: the same as here, errors as they are, nothing left behind."""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ALL_COMPLETED
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods import workers
from lt_interp.methods.analyze import analyze_into
from lt_interp.methods.evolution import evolution
from lt_interp.methods.workers import Workers, here

WORK = '''
import os, signal, time
import torch
from lt_interp.errors import InputError

def product(item, share):
    """Big enough that two threads would share it, and add up in another order."""
    share(1, 2)
    x = torch.randn(400, 400, generator=torch.Generator().manual_seed(item))
    return (x @ x).sum().item(), torch.get_num_threads()

def refused(item, share):
    raise InputError(f"item {item} cannot be read; choose another")

def refused_at_3(item, share):
    if item == 3:
        raise InputError("item 3 cannot be read; choose another")
    return item

def killed(item, share):
    os.kill(os.getpid(), signal.SIGKILL)

def slow(item, share):
    if item:
        time.sleep(600)
    return item

class Counting:
    """Lives on from item to item in its process."""
    def __init__(self):
        self.n = 0
    def __call__(self, item, share):
        self.n += 1
        return self.n
'''


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A module that other processes can import too."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "work_of_processes.py").write_text(WORK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("work_of_processes")


def found(w: Workers, function: Any, items: list[int]) -> dict[int, Any]:
    return {one.place: one.value for one in w.run(function, items, lambda *_: None)}


def interrupted(w: Workers, function: Any) -> None:
    for _ in w.run(function, [1, 0, 0], lambda *_: None):
        raise KeyboardInterrupt


def test_processes_give_what_this_process_gives_with_one_thread(work: Any) -> None:
    items = [3, 4, 5, 6, 7]
    threads = torch.get_num_threads()
    with Workers(1) as alone, Workers(2) as two:
        single, both = found(alone, work.product, items), found(two, work.product, items)
        # of five items one process does three or more, with the same object
        assert max(found(two, work.Counting(), items).values()) >= 3
    assert single == both
    assert {n for _, n in both.values()} == {1}
    assert torch.get_num_threads() == threads
    assert multiprocessing.active_children() == []


def test_one_item_needs_no_process(work: Any) -> None:
    with Workers(8) as w:
        assert list(found(w, work.product, [3])) == [0]
        assert multiprocessing.active_children() == []


def test_what_goes_wrong_arrives_as_it_is_and_ends_the_rest(work: Any) -> None:
    with (
        pytest.raises(InputError, match=r"item \d cannot be read; choose another"),
        Workers(2) as w,
    ):
        found(w, work.refused, [0, 1, 2])
    with pytest.raises(ChildProcessError, match="run it again with --workers 1"), Workers(2) as w:
        found(w, work.killed, [0, 1])
    with pytest.raises(KeyboardInterrupt), Workers(2) as w:
        interrupted(w, work.slow)
    assert multiprocessing.active_children() == []


def test_what_is_finished_arrives_before_what_went_wrong(
    work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # every item is finished before the first look
    monkeypatch.setattr(workers, "FIRST_COMPLETED", ALL_COMPLETED)
    monkeypatch.setattr(workers, "POLL_SECONDS", 600)
    with Workers(2) as w:
        arriving = w.run(work.refused_at_3, list(range(8)), lambda *_: None)
        assert {next(arriving).value for _ in range(7)} == {0, 1, 2, 4, 5, 6, 7}
        with pytest.raises(InputError, match="item 3 cannot be read"):
            next(arriving)


def test_progress_is_told_for_items_here() -> None:
    told: list[tuple[int, float]] = []

    def halves(item: int, share: Any) -> int:
        share(1, 2)
        return item

    values = here(halves, [7, 8], lambda place, share: told.append((place, share)))
    assert [one.value for one in values] == [7, 8]
    assert told == [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5)]


def test_an_analysis_in_processes_keeps_its_parts_and_its_order(
    trained: Path, rows: Rows, tmp_path: Path
) -> None:
    stages = [trained / name for name in ("01_bag_of_words", "03_bigram", "04_attention")]
    steps: list[tuple[int, int, str]] = []
    with Workers(2) as w:
        result = analyze_into(
            tmp_path, "evolution", stages, rows, seed=0, command="c", workers=w,
            progress=lambda *step: steps.append(step),
        )  # fmt: skip
    alone = evolution(stages, rows)
    for name, table in alone.tables.items():
        assert result.tables[name].equals(table), name
    assert len(list((tmp_path / ".parts" / "evolution").glob("*/result.json"))) == 3
    assert list((tmp_path / ".parts").rglob("*.csv")) == []
    assert steps[-1] == (3000, 3000, "evolution")


def test_processes_end_with_the_one_that_began_them(work: Any) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import multiprocessing, work_of_processes\n"
        "from lt_interp.methods.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(2) as workers:\n"
        "        for _ in workers.run(work_of_processes.slow, [1, 0, 0], lambda *_: None):\n"
        "            print(*(p.pid for p in multiprocessing.active_children()), flush=True)\n"
    )
    folder = str(Path(work.__file__).parent)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    # they share the pipe: it ends when the last of them has
    parent.stdout.read()
    assert len(children) == 2
    assert [pid for pid in children if _runs(pid)] == []


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
