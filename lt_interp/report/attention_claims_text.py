"""Sentences about what the article says of attention, and what was measured."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.figures.labels import stage_label
from lt_interp.report.attention_text import span
from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import MINUS, percent
from lt_interp.report.text import name

_TALLIES = (
    ("holds", "{} agrees", "{} agree"),
    ("holds in part", "{} agrees in part", "{} agree in part"),
    ("does not hold", "{} does not", "{} do not"),
)
STORIES, BEGINNINGS = "stories", "stories, first 8 tokens of a row"
BEFORE = "04_attention"


def claim_sentence(claims: pd.DataFrame, claim: str) -> str:
    """The verdict on one claim of the article with its main numbers."""
    rows = claims[claims["claim"] == claim]
    if rows.empty:
        return ""
    verdict = rows.loc[rows["where"] == "overall", "verdict"].iloc[0]
    measured = rows[(rows["where"] != "overall") & rows["value"].notna()]
    counts = measured["verdict"].value_counts()
    parts = [
        f"{(one if counts[word] == 1 else several).format(counts[word])}"
        for word, one, several in _TALLIES
        if word in counts
    ]
    tally = f": of {len(measured)} measurements {listing(parts)}" if parts else ""
    stage = name(str(rows["stage"].iloc[0]))
    return f"{stage}: {plain(claim)}: **{plain(verdict)}**{tally}."


def self_sentence(claims: pd.DataFrame, claim: str) -> str:
    """What 04 does with itself, and with earlier copies of its token."""
    own, word = (
        _at(claims, claim, quantity)
        for quantity in (
            "mean weight of a token on itself",
            "mean weight on the same token, itself or earlier",
        )
    )
    half = _at(claims, claim, "share of tokens with more than half on themselves")
    if own is None or word is None or half is None:
        return ""
    copies = (
        "Without positions it cannot tell a token from an earlier copy of it: counted together "
        f"they get {span(word)}."
    )
    return (
        f"On the stories a token of {stage_label(BEFORE)} gives itself {span(own)} of its "
        f"attention (uniform: {percent(own.baseline)}), and {span(half)} of tokens give "
        f"themselves more than half. {copies}"
    )


def broke_sentence(claims: pd.DataFrame, claim: str) -> str:
    """Whether self-attention fell from 04 to 05, in short contexts and in whole rows."""
    quantity = "mean weight of a token on itself, 05 minus 04"
    everywhere, short = (_at(claims, claim, quantity, where) for where in (STORIES, BEGINNINGS))
    if everywhere is None or short is None:
        return ""
    words = [_direction(short), _direction(everywhere)]
    opposite = {"falls", "rises"} == set(words)
    return (
        f"From 04 to 05 the weight of a token on itself {words[0]} in contexts as short as the "
        f"article's prompts ({_change(short)}) {'but' if opposite else 'and'} {words[1]} over "
        f"whole rows ({_change(everywhere)})."
        + (" The heatmap of a short prompt shows the one and not the other." if opposite else "")
        + _still_largest(claims, claim)
    )


def _still_largest(claims: pd.DataFrame, claim: str) -> str:
    """Where more tokens than before give no other more than themselves."""
    row = _at(claims, claim, "share of tokens whose largest weight is on themselves, 05 minus 04")
    if row is None or _direction(row) != "rises":
        return ""
    return (
        " The share of tokens that give no other more than themselves rises over whole rows "
        f"({_change(row)})."
    )


def _at(claims: pd.DataFrame, claim: str, quantity: str, where: str = STORIES) -> Any:
    """One row of `claims`, or `None` if it was not measured."""
    rows = claims[
        (claims["claim"] == claim) & (claims["quantity"] == quantity) & (claims["where"] == where)
    ].dropna(subset=["value"])
    return next(rows.itertuples(), None)


def _direction(row: Any) -> str:
    if pd.isna(row.low):
        return "falls" if row.value < 0 else "rises" if row.value > 0 else "stays"
    return "falls" if row.high < 0 else "rises" if row.low > 0 else "does not measurably change"


def _change(row: Any) -> str:
    """A signed change in points of a percentage."""

    def signed(value: float) -> str:
        return f"{100 * value:+.1f}".replace("-", MINUS)

    ends = "" if pd.isna(row.low) else f" [{signed(row.low)}, {signed(row.high)}]"
    return f"{signed(row.value)} points{ends}"
