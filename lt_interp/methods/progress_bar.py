"""A bar for a long analysis where it is asked for: in a notebook as HTML, in a terminal by rich.

Widgets are not used: a saved notebook that held one would show an error in its place.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lt_interp.methods.result import Progress

LEAST_SECONDS = 0.1  # between two drawings: a notebook is sent every one of them


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """Show how far something is, and nothing any more when it is done.

    Args:
        what: What is under way, until the first call says more.

    Yields:
        What is called with how much is done, how much there is, and what is under way.
    """
    with _notebook_bar(what) if _in_notebook() else _terminal_bar(what) as advance:
        yield advance


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; IPython is never imported for the answer."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def _notebook_bar(what: str) -> Iterator[Progress]:
    """One display that is drawn again and again, and empty in the end."""
    from IPython.display import display

    begin = drawn = time.monotonic()
    handle = display(_picture(what, 0, 1, 0.0), raw=True, display_id=True)

    def advance(done: int, total: int, what: str) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn >= LEAST_SECONDS:
            drawn = now
            handle.update(_picture(what, done, total, now - begin), raw=True)

    try:
        yield advance
    finally:
        handle.update({"text/plain": ""}, raw=True)


def _picture(what: str, done: int, total: int, seconds: float) -> dict[str, str]:
    """A bar as a notebook is sent it: as HTML, and as text for whoever shows none."""
    share = done / max(total, 1)
    text = f"{what}: {share:.0%}, {seconds:.0f} s"
    bar = f'<progress max="1" value="{share:.4f}" style="width:20em"></progress>'
    return {"text/html": f"{bar} {html.escape(text)}", "text/plain": text}


@contextmanager
def _terminal_bar(what: str) -> Iterator[Progress]:
    """A bar on standard error that vanishes; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False), BarColumn(),
        TextColumn("{task.percentage:.0f}%"), TimeElapsedColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task(what, total=None)

        def advance(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=what)

        yield advance
