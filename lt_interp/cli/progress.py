"""Bars for whatever may take longer than two seconds; they vanish when it is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@runtime_checkable
class Advance(Protocol):
    """What a task calls to say how far it is; it fits every progress callback of the library."""

    def __call__(self, done: int, total: int | None = None, what: str | None = None, /) -> None:
        """Say that `done` of `total` (`None` when unknown) is done, and what comes next."""


@contextmanager
def display(*columns: ProgressColumn | str) -> Iterator[Progress]:
    """A progress display on standard error, absent when that is no terminal.

    While it is up, standard output is diverted to standard error, so that a library that prints
    cannot spoil a JSON document.

    Args:
        columns: What to show of each task, in rich's terms.
    """
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
    with redirect_stdout(sys.stderr), progress:
        yield progress


def bar_columns() -> tuple[ProgressColumn, ...]:
    """What every bar shows: task, bar, done of all, time spent and time left.

    New ones at each call, since a column remembers what it drew.
    """
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


@contextmanager
def bar(what: str) -> Iterator[Advance]:
    """A bar for one task, a spinner for as long as its length is unknown.

    Args:
        what: The task, such as "reading stories".

    Yields:
        The function to call as it advances.
    """
    with display(SpinnerColumn(), *bar_columns()) as progress:
        task = progress.add_task(what, total=None)

        def advance(done: int, total: int | None = None, what: str | None = None, /) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield advance
