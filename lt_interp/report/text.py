"""Sentences about the ladder, each computed from a table and turning with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from lt_interp.figures.labels import main_runs, stage_label
from lt_interp.figures.perplexity import LAST_TOKEN
from lt_interp.methods.times_read import times_read
from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import MINUS, count, ends, millions, nats, perplexity

# The stretch of the ladder where every rung is expected to gain on the one before it.
CHAIN = ("04_attention", "05_attn_position", "06_ffn", "07_block", "08_two_blocks", "09_multi_head")


def name(stage: str) -> str:
    """A stage inside a sentence."""
    return f"**{plain(stage_label(stage))}**"


def short(stage: str) -> str:
    """A stage by its number, such as `04`; its whole id where that is ambiguous."""
    return plain(stage if stage.startswith("03b") else stage.split("_")[0])


def best_sentence(ladder: pd.DataFrame) -> str:
    """Where the ladder ends up: its lowest perplexity, and its highest beside it."""
    ladder = main_runs(ladder)
    best = ladder.loc[ladder["perplexity"].idxmin()]
    worst = ladder.loc[ladder["perplexity"].idxmax()]
    if len(ladder) == 1:
        return f"One stage was measured: {name(best['stage'])}, with {_with_interval(best)}."
    return (
        f"Of {len(ladder)} stages, {name(best['stage'])} predicts best, with "
        f"{_with_interval(best)}; {name(worst['stage'])} predicts worst, with "
        f"{_with_interval(worst)}."
    )


def _with_interval(row: pd.Series) -> str:
    span = ends(row["perplexity_low"], row["perplexity_high"])
    return f"perplexity {perplexity(row['perplexity'])} (95% interval {span})"


def comparable_perplexity(row: Any) -> float:
    """Our perplexity by the rule the article scored that stage with."""
    scored_on = row.article_scored_on
    last_only = isinstance(scored_on, str) and scored_on.startswith(LAST_TOKEN)
    return row.perplexity_last_token if last_only else row.perplexity


def article_sentence(ladder: pd.DataFrame) -> str:
    """Which stages come out below the article's figure."""
    known = main_runs(ladder).dropna(subset=["article_perplexity"])
    if known.empty:
        return "The article has no figure for the stages measured here."
    below = [r.stage for r in known.itertuples() if comparable_perplexity(r) < r.article_perplexity]
    compared = f"of {len(known)} compared"
    if not below:
        return f"Lower perplexity here than in the article: no stage {compared}."
    stages = listing([name(stage) for stage in below])
    return f"Lower perplexity here than in the article: {stages} ({len(below)} {compared})."


def is_lower(pair: Any) -> bool:
    """Whether a stage's loss is lower than the other's with an interval that excludes zero."""
    return pair.high < 0


def is_higher(pair: Any) -> bool:
    """Whether it is higher, with an interval that excludes zero."""
    return pair.low > 0


def seed_spread(ladder: pd.DataFrame) -> pd.Series:
    """How far the losses of a stage's runs lie apart that differ in their seed alone, in nats.

    Returns:
        The difference between highest and lowest, by stage; only stages with several runs.
    """
    runs = ladder.groupby("stage", sort=False)["loss_nats"]
    return (runs.max() - runs.min())[runs.size() > 1]


def seeds_sentence(ladder: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Which differences another seed may turn; empty where every stage has one run."""
    spread = seed_spread(ladder)
    if spread.empty:
        return ""
    parts = [
        f"Runs of {name(spread.idxmax())} that differ in their seed alone lie {spread.max():.3f} "
        "nats apart, which no interval here allows for."
    ]
    less = [
        f"{name(pair.stage)} against {name(pair.previous)}"
        for pair in pairs.itertuples()
        if abs(pair.difference_nats) < spread.max()
    ]
    if less:
        parts.append(f"Another seed may turn what is less than that: {listing(less)}.")
    parts += [
        _mean_sentence(ladder, pair)
        for pair in pairs.itertuples()
        if {pair.stage, pair.previous} <= set(spread.index)
    ]
    return " ".join(parts)


def _mean_sentence(ladder: pd.DataFrame, pair: Any) -> str:
    """What the mean over all runs of both stages says."""
    runs, previous = (
        ladder.loc[ladder["stage"] == stage, "loss_nats"] for stage in (pair.stage, pair.previous)
    )
    return (
        f"The mean over {len(runs)} runs of {name(pair.stage)} lies "
        f"{nats(runs.mean() - previous.mean())} nats from that over {len(previous)} of "
        f"{name(pair.previous)}."
    )


def pair_sentence(pair: Any, *, seeds: float = 0.0) -> str:
    """What one paired difference says, and whether its interval excludes zero.

    Args:
        pair: A row of the table `pairs`.
        seeds: How far runs lie apart that differ in their seed alone, in nats.
    """
    but = ", but is less than seeds lie apart" if abs(pair.difference_nats) < seeds else ""
    span = f"[{nats(pair.low)}, {nats(pair.high)}]"
    who = f"{name(pair.stage)} against {name(pair.previous)}"
    size = nats(abs(pair.difference_nats)).lstrip(f"+{MINUS}")
    if is_lower(pair):
        return f"{who}: lower by {size} nats {span}, excludes zero{but}."
    if is_higher(pair):
        return f"{who}: higher by {size} nats {span}, excludes zero{but}."
    if pd.isna(pair.low) or pd.isna(pair.high):
        return f"{who}: {nats(pair.difference_nats)} nats, too few stories for an interval."
    return f"{who}: not distinguishable, {nats(pair.difference_nats)} nats {span} includes zero."


def unequal_sentence(pairs: pd.DataFrame, ladder: pd.DataFrame) -> str:
    """Which pairs did not read equally many tokens; empty if all did, as far as is on record."""
    seen = main_runs(ladder).set_index("stage")["tokens_seen"]
    unequal = [
        f"{name(stage)} read {millions(seen[stage])} tokens, {name(previous)} "
        f"{millions(seen[previous])}"
        for stage, previous in zip(pairs["stage"], pairs["previous"], strict=True)
        if times_read(seen[stage], seen[previous]) != 1
    ]
    where = "Training is part of a difference where one stage read more"
    return f"{where}: {'; '.join(unequal)}." if unequal else ""


def order_sentence(pairs: pd.DataFrame) -> str:
    """Whether every rung from 04 to 09 is better than the one before it."""
    found = {(pair.previous, pair.stage): pair for pair in pairs.itertuples()}
    steps = list(pairwise(CHAIN))
    measured = [step for step in steps if step in found]
    if not measured:
        return "No two neighbouring stages from 04 to 09 were measured, so their order is open."
    failed = [step for step in measured if not is_lower(found[step])]
    parts = [_order_verdict(measured, failed)]
    if len(measured) < len(steps):
        missing = [step for step in steps if step not in found]
        parts.append(f"Not measured: {listing([_arrow(step) for step in missing])}.")
    return " ".join(parts)


def _order_verdict(measured: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str]]) -> str:
    if failed:
        return (
            f"The expected order does not hold throughout: no gain whose interval excludes zero at "
            f"{listing([_arrow(step) for step in failed])}; "
            f"{len(measured) - len(failed)} of {len(measured)} steps gain."
        )
    if len(measured) == len(CHAIN) - 1:
        chain = " > ".join(short(stage) for stage in CHAIN)
        return f"The order {chain} of perplexities holds, every step with an interval below zero."
    return (
        f"Each measured step of the order gains with an interval below zero: "
        f"{listing([_arrow(step) for step in measured])}."
    )


def _arrow(step: tuple[str, str]) -> str:
    return f"{short(step[0])} → {short(step[1])}"


def curve_sentence(stage: str, points: pd.DataFrame) -> str:
    """How a run stands against the published curve.

    Args:
        stage: Which stage.
        points: Its rows of `article_curves`.
    """
    reached = points.dropna(subset=["our_perplexity"])
    if reached.empty:
        return (
            f"{name(stage)}: our run ends before the first published point, so there is nothing "
            "to compare yet."
        )
    below = int((reached["our_perplexity"] < reached["perplexity"]).sum())
    if below == len(reached):
        every = "the one point" if below == 1 else f"every one of the {below} points"
        where = f"below the published curve at {every} it reaches"
    elif below == 0:
        where = f"not below the published curve at any of the {len(reached)} points it reaches"
    else:
        where = f"below the published curve at {below} of the {len(reached)} points it reaches"
    return f"{name(stage)}: {where}, at equal tokens seen ({len(points)} points are published)."


def parameters_sentence(ladder: pd.DataFrame) -> str:
    """Whether the models have the article's parameter counts."""
    known = main_runs(ladder).dropna(subset=["article_parameters"])
    if known.empty:
        return "The article gives no parameter counts for these stages."
    wrong = [r for r in known.itertuples() if r.parameters != r.article_parameters]
    sentence = (
        f"The number of parameters is exactly the article's in {len(known) - len(wrong)} of "
        f"{len(known)} {'stage' if len(known) == 1 else 'stages'}."
    )
    each = [f"{name(r.stage)} by {count(abs(r.parameters - r.article_parameters))}" for r in wrong]
    return sentence + (f" It differs for {listing(each)}." if wrong else "")
