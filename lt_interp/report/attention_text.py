"""Sentences about attention, each computed from a table and turning with its numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.figures.attention_heads import FDR, head_names
from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import percent
from lt_interp.stages import STAGES

PLACES = {
    "current": "the token itself",
    "previous": "the token before",
    "first": "the first token of the row",
    "induction": "the token after an earlier copy (induction)",
    "duplicate": "an earlier copy of the token (duplicate)",
}
CHAIN_OF_SHARES = ("current", "same_token", "previous", "first", "last_8", "induction", "duplicate")
INDUCTION_HEAD = 0.5  # of the attention on the token after the earlier copy
TRACE = 0.05  # more than where nothing repeats


def span(row: Any) -> str:
    """A share with its interval: `"62.4% [61.6, 63.1]"`."""
    if pd.isna(row.low) or pd.isna(row.high):
        return percent(row.value)
    return f"{percent(row.value)} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def summary_sentence(heads: pd.DataFrame) -> str:
    """How many heads are of which kind."""
    if heads.empty:
        return "None of the stages measured here has attention."
    words = []
    for place, where in PLACES.items():
        leading = heads["places"].str.split(",").str[0] == place
        for kind, share in (
            ("mostly", "half of the attention or more"),
            ("partly", "a fifth or more"),
        ):
            n = int((leading & (heads["kind"] == kind)).sum())
            if n:
                words.append(f"{n} {'gives' if n == 1 else 'give'} {where} {share}")
    for kind, one, several in (
        ("near", "favours no single place but stays near", "favour no single place but stay near"),
        ("spread", "spreads further", "spread further"),
    ):
        n = int((heads["kind"] == kind).sum())
        where = ", half within 8 tokens" if kind == "near" else ""
        if n:
            words.append(f"{n} {one if n == 1 else several}{where}")
    stages = heads["stage"].nunique()
    return (
        f"Of {len(heads)} heads in {stages} {'stage' if stages == 1 else 'stages'} with attention, "
        f"{listing(words)}."
    )


def head_sentence(head: Any) -> str:
    """What one head is.

    Args:
        head: A row of `heads`, with the `name` that figures give it.
    """
    reach = (
        f"{percent(head.last_8)} of its attention lies on the last 8 tokens, and what it reads "
        f"stands {head.mean_distance_tokens:.1f} tokens back on average"
    )
    if head.kind in ("mostly", "partly"):
        places = [PLACES[place] for place in head.places.split(",")]
        what = f"{head.kind} {listing(places)} ({span(head)})"
    else:
        most = f"the most, {PLACES[head.strongest]}, has {span(head)}"
        far = "near, but no single place" if head.kind == "near" else "spread"
        what = f"{far}: {most}"
    return f"**{plain(head.name)}**: {what}; {reach}."


def induction_sentence(repetition: pd.DataFrame) -> str:
    """Whether any head continues a repetition, judged against where nothing repeats."""
    scores = repetition[repetition["score"] == "induction"]
    if scores.empty:
        return "Without attention there is no induction to look for."
    scores = scores.assign(name=head_names(repetition))
    found_heads = scores[
        (scores["q"] < FDR) & (scores["difference"] > 0) & (scores["value"] >= INDUCTION_HEAD)
    ]
    among = scores if found_heads.empty else found_heads
    top = among.loc[among["difference"].idxmax()]
    found = (
        f"on random tokens that repeat, no {'head' if found_heads.empty else 'such head'} gains "
        f"more on the token after the earlier copy than {plain(top['name'])} "
        f"(period {top['period_tokens']}: {span(top)}, where nothing repeats "
        f"{percent(top['unrepeated'])})"
    )
    if len(found_heads):
        return f"There is an induction head: {found}."
    if top["q"] < FDR and top["difference"] >= TRACE:
        return f"A trace of induction, no induction head: {found}."
    return f"No induction head: {found}."


def copies_sentence(repetition: pd.DataFrame) -> str:
    """Which heads look for an earlier copy of their token, and which look away from it."""
    scores = repetition[repetition["score"] == "duplicate"]
    if scores.empty:
        return ""
    scores = scores.assign(name=head_names(repetition))
    period = scores["period_tokens"].min()
    scores = scores[scores["period_tokens"] == period]
    certain = scores["q"] < FDR
    more, less = (scores[certain & (sign * scores["difference"] > 0)] for sign in (1, -1))
    parts = [
        f"{len(part)} read it {word} than another token in its place ({_most(part, sign)})"
        for part, word, sign in ((more, "more", 1), (less, "less", -1))
        if len(part)
    ]
    rest = len(scores) - len(more) - len(less)
    parts += [f"{rest} cannot be told apart"] if rest else []
    return (
        f"An earlier copy of the token, {period} tokens back among random ones: of {len(scores)} "
        f"heads {listing(parts)}."
    )


def _most(part: pd.DataFrame, sign: int) -> str:
    top = part.loc[(sign * part["difference"]).idxmax()]
    return (
        f"the most {plain(top['name'])}, {percent(top['value'])} and not "
        f"{percent(top['unrepeated'])}"
    )


def residual_sentence(head_scores: pd.DataFrame) -> str:
    """Self-attention in stages without and with a residual stream."""
    own = head_scores[head_scores["score"] == "current"]
    stream = own["stage"].map(lambda stage: stage in STAGES and STAGES[stage].config.has_stream)
    without, within = own[~stream], own[stream]
    if without.empty or within.empty:
        return ""
    ranges = [
        f"{percent(part['value'].min())} to {percent(part['value'].max())}"
        for part in (without, within)
    ]
    above = without["value"].min() > within["value"].max()
    below = within["value"].min() > without["value"].max()
    return (
        f"Weight of a token on itself: {ranges[0]} by head in stages without a residual stream, "
        f"{ranges[1]} in stages with one. "
        + (
            "The two do not overlap. One reading: where nothing else carries a token past "
            "attention, attention itself has to."
            if above
            else "The two do not overlap."
            if below
            else "The two overlap."
        )
    )


def tested_sentence(head_scores: pd.DataFrame) -> str:
    """How many head scores differ from the uniform pattern, and which do not."""
    tested = head_scores.dropna(subset=["q"])
    if tested.empty:
        return "Nothing could be tested: a test needs two stories or more."
    same = tested[tested["q"] >= FDR]
    sentence = (
        f"{len(tested) - len(same)} of {len(tested)} head scores differ from the uniform pattern "
        f"(false discovery rate {FDR:.0%})"
    )
    if same.empty:
        return f"{sentence}."
    names = head_names(head_scores)
    which = [f"{plain(names[row.Index])} ({_score(row.score)})" for row in same.itertuples()]
    return f"{sentence}; not {listing(which)}."


def untrained_sentence(head_scores: pd.DataFrame) -> str:
    """How close to uniform the untrained stages are."""
    shares = head_scores[head_scores["score"].isin(CHAIN_OF_SHARES)]
    if shares.empty:
        return ""
    off = (shares["untrained"] - shares["uniform"]).abs()
    learned = (shares["value"] - shares["untrained"]).abs()
    return (
        f"Untrained heads are close to uniform: no share of attention is further from it "
        f"than {100 * off.max():.1f} points; training moves shares by up to "
        f"{100 * learned.max():.1f}."
        if off.max() < 0.05
        else f"Untrained heads are up to {100 * off.max():.1f} points of attention from uniform "
        f"already; training moves shares by up to {100 * learned.max():.1f}."
    )


def _score(score: str) -> str:
    return score.replace("_tokens", "").replace("_nats", "").replace("_", " ")
