"""A run under way: speed, time left and losses, as a bar or, without a terminal, as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from lt_interp.cli.console import note
from lt_interp.cli.progress import display

OnStep = Callable[[int, int, dict[str, Any]], None]


@contextmanager
def training_display(title: str, tokens_a_step: int) -> Iterator[OnStep]:
    """Show a run.

    Args:
        title: The stage, as the bar calls it.
        tokens_a_step: Predicted tokens a step, for the speed.

    Yields:
        What `lt_interp.training.loop.train` calls after every step.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with display(*columns) as progress:
        task = progress.add_task(title, total=None, figures="")
        watch = Watch(tokens_a_step)

        def on_step(done: int, total: int, line: dict[str, Any]) -> None:
            if watch.begin(done):
                # A resumed run begins far from 0; those steps are no part of the speed.
                progress.reset(task, total=total, completed=done)
            figures = watch.figures(done, line)
            progress.update(task, completed=done, figures=figures)
            if "val_loss_nats" in line and line["step"] == done and not sys.stderr.isatty():
                note(f"{title}: step {done:,} of {total:,}, {figures}")

        yield on_step


class Watch:
    """The speed and the last losses of a run."""

    def __init__(self, tokens_a_step: int) -> None:
        """Wait for the first step.

        Args:
            tokens_a_step: Predicted tokens a step.
        """
        self._tokens_a_step = tokens_a_step
        self._first: int | None = None
        self._began = 0.0
        self._losses: dict[str, float] = {}

    def begin(self, done: int) -> bool:
        """Start the clock at the first step that this process has made; true for that one."""
        if self._first is not None:
            return False
        self._first, self._began = done, time.monotonic()
        return True

    def figures(self, done: int, line: dict[str, Any]) -> str:
        """Speed and losses in words, e.g. "52,000 tokens/s, train 2.413 nats".

        Args:
            done: Steps done.
            line: The last line of metrics; a loss that it lacks is kept from an earlier one.
        """
        steps, seconds = done - (self._first or 0), time.monotonic() - self._began
        speed = [f"{steps * self._tokens_a_step / seconds:,.0f} tokens/s"] if steps else []
        names = {"train_loss_nats": "train", "val_loss_nats": "validation"}
        self._losses |= {names[key]: line[key] for key in names.keys() & line.keys()}
        losses = [f"{n} {self._losses[n]:.3f} nats" for n in names.values() if n in self._losses]
        return ", ".join([*speed, *losses])
