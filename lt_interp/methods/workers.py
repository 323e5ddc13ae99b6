"""Models measured side by side, each in a process with one thread of its own.

The matrices of a ladder's models are small, and two threads on one of them do little more than one
does; two models at a time do twice as much. A sum in floating point depends on how many threads
share it, so a model is given one thread whatever the number of processes: the results do not
depend on it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple

Share = Callable[[int, int], None]
"""Called while one model is measured with how much of it is done, and how much there is."""
Work = Callable[[Any, Share], Any]
"""What is done with one item; for another process it must be a function of a module."""
Report = Callable[[int, float], None]
"""Called with an item's place and the share of it that is done."""


class Finished(NamedTuple):
    """One item that is done.

    Attributes:
        place: Of the item.
        value: What came of it.
        cpu_seconds: The processor's time that it took.
    """

    place: int
    value: Any
    cpu_seconds: float


POLL_SECONDS = 0.2
SLOTS = 1024  # for the progress of items


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def here(work: Work, items: Sequence[Any], report: Report) -> Iterator[Finished]:
    """Do the work in this process, an item after the other.

    Yields:
        Each item when it is done.
    """
    for place, item in enumerate(items):
        report(place, 0.0)
        share = partial(_report_share, report, place)
        yield Finished(place, *_timed(work, item, share))


def do_all(
    work: Work,
    items: Sequence[Any],
    *,
    workers: Workers | None = None,
    advance: Callable[[float, int], None] | None = None,
) -> list[Any]:
    """Do the work for every item, and wait for all.

    Args:
        work: What is done with each.
        items: Any.
        workers: Processes for them; without any they are done here, one after the other.
        advance: Called with how many items are done, parts of them counted, and with the place of
            one under way.

    Returns:
        What came of each, in their order.
    """
    values: dict[int, Any] = {}
    shares: dict[int, float] = {}

    def report(place: int, share: float) -> None:
        shares[place] = share
        if advance is not None:
            advance(sum(shares.values()), place)

    for place, value, _ in (workers.run if workers else here)(work, items, report):
        values[place], shares[place] = value, 1.0
    return [values[place] for place in range(len(items))]


def all_together(names: Sequence[str], advance: Callable[[float, list[str]], None]) -> Report:
    """What to report each item's progress to, where people want that of all.

    Args:
        names: Of the items.
        advance: Called with how many items are done, parts of them counted, and with the names of
            those under way.
    """
    shares: dict[int, float] = {}

    def report(place: int, share: float) -> None:
        shares[place] = share
        advance(sum(shares.values()), [names[at] for at, share in shares.items() if share < 1])

    return report


def _report_share(report: Report, place: int, done: int, n: int) -> None:
    report(place, done / max(n, 1))


def _timed(work: Work, item: Any, share: Share) -> tuple[Any, float]:
    """What comes of an item, and the processor's time that it took."""
    began = time.process_time()
    value = work(item, share)
    return value, time.process_time() - began


class Workers:
    """Up to `n` processes, started when there is work for two, ended with the block.

    Attributes:
        n: How many at most.

    Example:
        >>> with Workers(2) as workers:  # doctest: +SKIP
        ...     for place, found, _ in workers.run(measure, checkpoints, report):
        ...         print(checkpoints[place].name, found)
    """

    def __init__(self, n: int, *, prepare: Callable[[], None] | None = None) -> None:
        """Say how many; none is started.

        Args:
            n: 1 or more; of 1 everything is done in this process.
            prepare: What each process calls first, a function of a module.
        """
        self.n, self._prepare = n, prepare
        self._executor: ProcessPoolExecutor | None = None
        self._own: set[Any] = set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._executor is None:
            return
        if kind is not None:  # nobody waits for what is still under way
            for process in self._own:
                process.terminate()
        self._executor.shutdown(cancel_futures=True)
        self._executor = None

    def run(self, work: Work, items: Sequence[Any], report: Report) -> Iterator[Finished]:
        """Do the work for every item; in processes the last one is begun first.

        Yields:
            Each item when it is done, in whatever order that is.

        Raises:
            ChildProcessError: The system ended a process; whatever `work` raises comes as it is.
        """
        if self.n == 1 or len(items) < 2:
            with _one_thread():
                yield from here(work, items, report)
            return
        executor = self._started()
        # Pickled once: a process that has it from an earlier item takes it from there.
        packed = pickle.dumps(work)
        self._shares[:] = [0.0] * SLOTS
        # The ladder's last models take longest: begun first, they let no process wait at the end.
        pending = {
            executor.submit(_do, packed, items[place], place): place
            for place in reversed(range(len(items)))
        }
        try:
            while pending:
                yield from self._finished(pending, report)
        except BrokenProcessPool:
            raise ChildProcessError(
                "the system ended a process that measured a model, most likely for want of memory; "
                "run it again with --workers 1, it goes on after the last finished model"
            ) from None

    def _finished(self, pending: dict[Future[Any], int], report: Report) -> Iterator[Finished]:
        """What is finished within a moment, and the progress of the rest."""
        done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        # What went wrong comes last: it ends the run, and nothing that is finished is lost with it.
        for future in sorted(done, key=lambda one: one.exception() is not None):
            place = pending.pop(future)
            yield Finished(place, *future.result())
        for place in pending.values():
            if share := self._shares[place % SLOTS]:
                report(place, share)

    def _started(self) -> ProcessPoolExecutor:
        """The processes, begun anew each: a forked copy would hold locks that nobody releases."""
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._shares = context.Array("d", SLOTS, lock=False)
            self._executor = ProcessPoolExecutor(
                self.n, mp_context=context, initializer=_begin,
                initargs=(self._shares, self._prepare),
            )  # fmt: skip
            others = set(multiprocessing.active_children())
            with _interrupt_ignored():
                for _ in range(self.n):
                    self._executor.submit(_nothing)
            self._own = set(multiprocessing.active_children()) - others
        return self._executor


@contextmanager
def _one_thread() -> Iterator[None]:
    """What a process of its own has: results depend on the number of threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _interrupt_ignored() -> Iterator[None]:
    """Ctrl-C is for this process, which ends the others; they inherit that they ignore it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# In a process: how far its items are, seen by the one that started it, and the work it has.
_shares: Any = None
_work: tuple[bytes, Work] | None = None


def _begin(shares: Any, prepare: Callable[[], None] | None) -> None:
    """Make a new process ready."""
    import torch

    global _shares
    _shares = shares
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(1)
    if prepare is not None:
        prepare()


def _end_with_the_parent() -> None:
    """Wait for the end of the process that began this one: killed, it could not end the others."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _nothing() -> None:
    """Starts a process that waits for something to do."""


def _do(packed: bytes, item: Any, place: int) -> tuple[Any, float]:
    """Do the work for one item; the object that does it lives on from item to item."""
    global _work
    if _work is None or _work[0] != packed:
        _work = None  # not two at a time: each may hold much
        _work = (packed, pickle.loads(packed))

    def share(done: int, n: int) -> None:
        _shares[place % SLOTS] = done / max(n, 1)

    return _timed(_work[1], item, share)
