"""Sentences about words and runs: the article's list, feeling words, one seed and another."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.routing_names import FREQUENCY
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import code
from lt_interp.report.moe_routing_text import cases
from lt_interp.report.numbers import count, extremes, percent
from lt_interp.report.text import name

ALIGNED = "aligned across models"


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
    left_out = mine["fitted"].any() and not mine["fitted"].all()
    mine = mine[~mine["fitted"]] if left_out else mine
    over, words = int(mine["n_over_80"].sum()), int(mine["n_words"].sum())
    gain = mine["mean_share"] - mine["mean_load"]
    if (gain <= 0).all():
        verdict = "no more than its load in any run: the article's list is not found again"
    elif (gain > 0).all():
        verdict = "more than its load in every run"
    else:
        verdict = f"more than its load in {int((gain > 0).sum())} of {len(mine)} runs"
    about = (
        "The run whose experts were numbered by these very words is left out."
        if left_out
        else "The experts were numbered by these very words, which favours the article."
    )
    return (
        f"Of the article's words, all over 80% there, {over} of {words} (over all runs) go over "
        f"80% to the same expert here. Their mean share is {extremes(mine['mean_share'], percent)} "
        f"where that expert's load is {extremes(mine['mean_load'], percent)}, {verdict}. {about} "
        "No interval is at hand for these differences, so the side on which they lie is no finding."
    )


def numbering_sentence(pairs: pd.DataFrame) -> str:
    """Are the common numbers of the experts more than a guess?"""
    if pairs.empty:
        return ""
    mine = pairs[pairs["checkpoint"] == pairs["checkpoint"].iloc[0]]
    found = int((mine["q"] <= FDR).sum())
    unmatched = int(mine["p"].isna().sum())
    none = f"; {unmatched} could not be matched and keep the first run's" if unmatched else ""
    return (
        "Experts are numbered as those of the first run that they resemble most. Of "
        f"{len(mine)} layers of other runs {found} resemble it more than chance allows, false "
        f"discoveries held to 5%{none}: of the others that is not shown, and their numbers "
        'may be as good as guessed (p and q under "Runs beside each other").'
    )


def seeds_sentence(agreement: pd.DataFrame, stage: str) -> str:
    """Do two runs of a stage divide the tokens alike?"""
    mine = agreement[(agreement["stage"] == stage) & (agreement["other_stage"] == stage)]
    if mine.empty:
        return f"{name(stage)}: there is one run only, so nothing can be said of seeds."
    mine = mine[mine["correlation"].notna()]
    if mine.empty:
        return f"{name(stage)}: the experts of its runs cannot be matched."
    found = mine["q"] <= FDR
    if not found.any():
        verdict = "that runs share their division of labour is not shown"
    elif found.all():
        verdict = "runs share a part of their division of labour"
    else:
        verdict = (
            "some layers share a part of their division of labour; of the others it is not shown"
        )
    return (
        f"{name(stage)}: once experts are matched, the shares of tokens in two runs correlate by "
        f"{mine['correlation'].mean():.2f} on average ({mine['correlation'].min():.2f} to "
        f"{mine['correlation'].max():.2f}), where matching alone gives "
        f"{mine['null_mean'].mean():.2f}; {int(found.sum())} of {len(mine)} pairs exceed that with "
        f"false discoveries held to 5%: {verdict}."
    )


def feelings_sentence(feelings: pd.DataFrame, stage: str) -> str:
    """Do feeling words go to one expert more than others of the same frequency?"""
    mine = feelings[(feelings["stage"] == stage) & (feelings["matched_by"] == FREQUENCY)]
    if mine.empty:
        return f"{name(stage)}: too few feeling words occur often enough to ask."
    found = int((mine["q"] <= FDR).sum())
    apart = mine["random_routers_apart"].mean()
    if apart > 1.5 * FDR:
        random = (
            f"A random router does so easily: {percent(apart)} of them keep feeling words apart as "
            "significantly, where 5% would if words of one meaning did not lie close together."
        )
    else:
        random = (
            f"Of random routers {percent(apart)} keep feeling words apart as significantly, about "
            "the 5% that chance gives."
        )
    beyond = int((mine["q_random"] <= FDR).sum())
    verdict = {0: "No", len(mine): "Yes"}.get(found, "In part")
    return (
        f"{name(stage)}: {verdict}. In {found} of {cases(len(mine))} feeling words differ from "
        "other words of their frequency with false discoveries held to 5%; their share differs by "
        f"{_points(mine['difference'])} on average, in either direction. {random} Parted farther "
        f"than random routers part them, by the same standard: {beyond} of {len(mine)}."
    )


def story_structure_sentence(table: pd.DataFrame, stage: str) -> str:
    """Do the experts divide words that tell a story from words of structure?"""
    mine = table[table["stage"] == stage]
    if mine.empty:
        return f"{name(stage)}: too few words of either kind occur often enough to ask."
    differ, beyond = mine["q"] <= FDR, mine["q_random"] <= FDR
    both = int((differ & beyond).sum())
    verdict = {0: "Not beyond random routers", len(mine): "Yes"}.get(both, "In part")
    return (
        f"{name(stage)}: {verdict}. The mean share of an expert differs between the two kinds in "
        f"{int(differ.sum())} of {cases(len(mine))}, and farther than under random routers in "
        f"{int(beyond.sum())}, false discoveries held to 5% for either; the kinds lie "
        f"{_points(mine['difference'])} apart on average, under random routers "
        f"{_points(mine['random_router_abs_difference'])}."
    )


def _points(differences: pd.Series) -> str:
    """The mean size of differences of shares: `"17.1 percentage points"`."""
    return f"{100 * differences.abs().mean():.1f} percentage points"
