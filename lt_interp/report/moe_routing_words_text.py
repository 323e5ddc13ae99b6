"""Sentences about words and runs: the article's list, feeling words, one seed and another."""

from __future__ import annotations

import pandas as pd

from lt_interp.report.markdown import code
from lt_interp.report.moe_routing_text import cases, span
from lt_interp.report.numbers import count, percent
from lt_interp.report.text import name

ALIGNED = "aligned across models"
SIGNIFICANT = 0.05


def labels_sentence(labelings: pd.DataFrame) -> str:
    """What the numbers of the experts, which mean nothing, do to the pooled count."""
    if labelings.empty:
        return ""
    spread = labelings.groupby("checkpoint", sort=False)["n_over_80"].agg(["min", "max"])
    widest = (spread["max"] - spread["min"]).idxmax()
    low, high = spread.loc[widest]
    if high == low:
        return "The pooled count of tokens over 80% is the same however the experts are numbered."
    return (
        "The article pools two layers, whose experts have nothing in common but their number. "
        f"Exchange the two numbers in one layer, and the count of tokens over 80% changes, most in "
        f"{code(str(widest))}: from {count(high)} to {count(low)}."
    )


def article_sentence(agreement: pd.DataFrame) -> str:
    """Do the article's words go to one expert here too?"""
    mine = agreement[agreement["numbering"] == ALIGNED]
    if mine.empty:
        return "No word of the article is a token here."
    over, words = int(mine["n_over_80"].sum()), int(mine["n_words"].sum())
    gain = mine["mean_share"] - mine["mean_load"]
    if (gain <= 0).all():
        verdict = "less than its load in every run: the article's list is not found again"
    elif (gain > 0).all():
        verdict = "more than its load in every run"
    else:
        verdict = f"more than its load in {int((gain > 0).sum())} of {len(mine)} runs"
    return (
        f"Of the article's words, all over 80% there, {over} of {words} (over all runs) go over "
        f"80% to the same expert here. Their mean share is {span(mine['mean_share'])} where that "
        f"expert's load is {span(mine['mean_load'])}, {verdict}."
    )


def seeds_sentence(agreement: pd.DataFrame, stage: str) -> str:
    """Do two runs of a stage divide the tokens alike?"""
    mine = agreement[(agreement["stage"] == stage) & (agreement["other_stage"] == stage)]
    if mine.empty:
        return f"{name(stage)}: there is one run only, so nothing can be said of seeds."
    found = mine["q"] <= SIGNIFICANT
    if not found.any():
        verdict = "another seed is another division of labour"
    elif found.all():
        verdict = "runs share a part of their division of labour"
    else:
        verdict = "some layers share a part of their division of labour, others none"
    return (
        f"{name(stage)}: once experts are matched, the shares of tokens in two runs correlate by "
        f"{mine['correlation'].mean():.2f} on average ({mine['correlation'].min():.2f} to "
        f"{mine['correlation'].max():.2f}), where matching alone gives "
        f"{mine['null_mean'].mean():.2f}; {int(found.sum())} of {len(mine)} pairs exceed that with "
        f"false discoveries held to 5%: {verdict}."
    )


def feelings_sentence(feelings: pd.DataFrame, stage: str) -> str:
    """Do feeling words go to one expert more than others of the same frequency?"""
    mine = feelings[(feelings["stage"] == stage) & (feelings["matched_by"] == "frequency")]
    if mine.empty:
        return f"{name(stage)}: too few feeling words occur often enough to ask."
    found = int((mine["q"] <= SIGNIFICANT).sum())
    apart = mine["random_routers_apart"].mean()
    if apart > 1.5 * SIGNIFICANT:
        random = (
            f"A random router does so easily: {percent(apart)} of them keep feeling words apart as "
            "significantly, where 5% would if words of one meaning did not lie close together."
        )
    else:
        random = (
            f"Of random routers {percent(apart)} keep feeling words apart as significantly, about "
            "the 5% that chance gives."
        )
    verdict = {0: "No", len(mine): "Yes"}.get(found, "In part")
    return (
        f"{name(stage)}: {verdict}. In {found} of {cases(len(mine))} feeling words differ from "
        "other words of their frequency with false discoveries held to 5%; their share differs by "
        f"{percent(mine['difference'].abs().mean())} on average, in either direction. {random}"
    )
