"""The page on rows longer than those that were trained on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import length as figure
from lt_interp.methods.result import Result
from lt_interp.report.markdown import code, listing, plain, table
from lt_interp.report.numbers import count, millions, nats, with_ends
from lt_interp.report.page import Drawing, Page

__all__ = ["LENGTH_GENERALISATION"]
UNCLEAR = "no clear change"  # the interval holds zero
FIGURE = "loss_by_position.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    return {FIGURE: Drawing(partial(figure.loss_by_position, result), figure.SIZE)}


def _context(result: Result) -> dict[str, Any]:
    notes = result.meta["notes"]
    return {
        "trained": count(notes["trained_on"]),
        "read": count(notes["read"]),
        "sentences": _sentences(result),
        "comparisons": _comparisons(result),
        "trained_anew": _trained_anew(result),
        "losses": _losses(result.tables["losses"]),
        "runs": _runs(result.tables["runs"]),
        "figure": FIGURE,
    }


def _sentences(result: Result) -> list[str]:
    """For each stage how its loss changes beyond what it was trained on."""
    sentences = []
    for row in result.tables["rises"].itertuples():
        sentences.append(
            f"{code(row.stage)}: {_loss(row.trained_loss_nats)} nats at positions "
            f"{_positions(row.first_position, row.last_trained_position)}, "
            f"{_loss(row.beyond_loss_nats)} at "
            f"{_positions(row.last_trained_position + 1, row.last_position)}: "
            f"{_change(row, row.rise_nats, 'a rise', 'a fall')}."
        )
    return sentences


def _comparisons(result: Result) -> list[str]:
    """For each pair of stages whose loss rises more, on the same tokens."""
    return [
        f"{code(row.stage)} against {code(row.against)}: "
        f"{_change(row, row.difference_nats, 'rises more', 'rises less')}."
        for row in result.tables["rise_differences"].itertuples()
    ]


def _change(row: Any, value: float, above: str, below: str) -> str:
    """A signed difference with its interval, and what that says of it."""
    said = above if row.low > 0 else below if row.high < 0 else UNCLEAR
    return f"{with_ends(value, row.low, row.high, nats)} nats, {said}"


def _positions(first: Any, last: Any) -> str:
    return f"{count(first)} to {count(last)}"


def _loss(value: float) -> str:
    return f"{value:.3f}"


def _losses(losses: pd.DataFrame) -> str:
    wide = losses.pivot(index="first_position", columns="stage", values="loss_nats")
    ends = losses.groupby("first_position")["last_position"].first()
    stages = list(losses["stage"].unique())
    rows = [
        [
            f"{count(first)}–{count(ends[first])}",
            *(_loss(wide.loc[first, stage]) for stage in stages),
        ]
        for first in wide.index
    ]
    return table(["positions", *map(code, stages)], rows, align="l" + "r" * len(stages))


def _runs(runs: pd.DataFrame) -> str:
    rows = [
        [code(row.stage), plain(row.adds), millions(row.tokens_seen), _loss(row.val_loss_nats)]
        for row in runs.itertuples()
    ]
    headers = ["stage", "what it is", "tokens seen", "validation loss, as trained"]
    return table(headers, rows, align="llrr")


def _headline(result: Result) -> str:
    rises = result.tables["rises"]
    changes = [
        f"{code(row.stage)} {_change(row, row.rise_nats, 'a rise', 'a fall')}"
        for row in rises.itertuples()
    ]
    ends = next(rises.itertuples())
    return (
        f"Loss at positions {_positions(ends.last_trained_position + 1, ends.last_position)}, "
        "beyond those that were trained, minus that at "
        f"{_positions(ends.first_position, ends.last_trained_position)}, with 95% intervals by "
        f"story: {'; '.join(changes)}. "
        f"{_trained_anew(result)}"
    )


def _trained_anew(result: Result) -> str:
    """That a stage's name here is not the checkpoint that is shipped under it."""
    steps = count(result.meta["notes"]["steps"])
    stages = listing([code(stage) for stage in result.tables["runs"]["stage"]])
    return (
        f"For this page {stages} were trained anew, {steps} steps each; none is the shipped "
        "checkpoint of that name."
    )


LENGTH_GENERALISATION = Page(
    title="Beyond the length that was trained",
    template="length_generalisation.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
