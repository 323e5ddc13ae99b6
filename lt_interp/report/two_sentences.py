"""The page on learning two sentences by heart."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import two_sentences as figure
from lt_interp.methods.result import Result
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import count
from lt_interp.report.page import Drawing, Page

__all__ = ["TWO_SENTENCES"]
CURVE = "loss.svg"


def _final_loss(losses: pd.DataFrame) -> float:
    """The mean of the last ten steps."""
    return float(losses["train_loss_nats"].iloc[-10:].mean())


def _rows(result: Result) -> list[list[str]]:
    """First and last loss of every run, and what it writes then."""
    losses, rows = result.tables["losses"], []
    for sample in result.tables["samples"].itertuples():
        own = losses[(losses["steps"] == sample.steps) & (losses["stage"] == sample.stage)]
        first, last = own["train_loss_nats"].iloc[0], _final_loss(own)
        rows.append(
            [
                code(sample.stage), count(sample.steps), f"{first:.3f}", f"{last:.3f}",
                code(sample.prompt + sample.sample),
            ]
        )  # fmt: skip
    return rows


def _context(result: Result) -> dict[str, Any]:
    headers = ["stage", "steps", "loss at step 1", "last ten steps", "what it writes"]
    return {
        "guess": f"{math.log(256):.2f}",
        "runs": table(headers, _rows(result), align="lrrrl"),
        "curve": CURVE,
    }


def _drawings(result: Result) -> dict[str, Drawing]:
    return {CURVE: Drawing(partial(figure.loss_by_step, result), figure.SIZE)}


def _headline(result: Result) -> str:
    sample = result.tables["samples"].iloc[-1]
    losses = result.tables["losses"]
    last = _final_loss(losses[losses["steps"] == sample["steps"]])
    return (
        f"After {count(sample['steps'])} steps on two sentences the loss is {last:.2f} nats, and "
        f"“{plain(sample['prompt'])}” goes on {code(sample['sample'][:40])}."
    )


TWO_SENTENCES = Page(
    title="Two sentences, learned by heart",
    template="two_sentences.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
