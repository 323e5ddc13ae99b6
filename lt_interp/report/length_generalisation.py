"""The page on rows longer than those that were trained on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import length as figure
from lt_interp.methods.result import Result
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import count, millions, nats, with_ends
from lt_interp.report.page import Drawing, Page

__all__ = ["LENGTH_GENERALISATION"]
FIGURE = "loss_by_position.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    return {FIGURE: Drawing(partial(figure.loss_by_position, result), figure.SIZE)}


def _context(result: Result) -> dict[str, Any]:
    notes = result.meta["notes"]
    return {
        "trained": count(notes["trained_on"]),
        "read": count(notes["read"]),
        "sentences": _sentences(result),
        "losses": _losses(result.tables["losses"]),
        "runs": _runs(result.tables["runs"]),
        "figure": FIGURE,
    }


def _before_and_after(result: Result, stage: str) -> tuple[pd.Series, pd.Series]:
    """The last bin that training reached, and the last of all."""
    own = result.tables["losses"]
    own = own[own["stage"] == stage]
    inside = own[own["last_position"] <= result.meta["notes"]["trained_on"]]
    return inside.iloc[-1], own.iloc[-1]


def _sentences(result: Result) -> list[str]:
    """For each stage how its loss changes beyond what it was trained on."""
    sentences = []
    for stage in result.tables["losses"]["stage"].unique():
        inside, end = _before_and_after(result, stage)
        change = end["loss_nats"] - inside["loss_nats"]
        trained, beyond = (
            with_ends(row["loss_nats"], row["low"], row["high"], _loss) for row in (inside, end)
        )
        sentences.append(
            f"{code(stage)}: {trained} nats at positions {inside['first_position']} to "
            f"{inside['last_position']}, {beyond} at {end['first_position']} to "
            f"{end['last_position']}, {nats(change)} in between."
        )
    return sentences


def _loss(value: float) -> str:
    return f"{value:.3f}"


def _losses(losses: pd.DataFrame) -> str:
    wide = losses.pivot(index="first_position", columns="stage", values="loss_nats")
    ends = losses.groupby("first_position")["last_position"].first()
    stages = list(losses["stage"].unique())
    rows = [
        [f"{first}–{ends[first]}", *(_loss(wide.loc[first, stage]) for stage in stages)]
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
    changes = []
    for stage in result.tables["losses"]["stage"].unique():
        inside, end = _before_and_after(result, stage)
        changes.append(f"{code(stage)} {nats(end['loss_nats'] - inside['loss_nats'])}")
    return f"From the end of what was trained to four times that, in nats: {', '.join(changes)}."


LENGTH_GENERALISATION = Page(
    title="Beyond the length that was trained",
    template="length_generalisation.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
