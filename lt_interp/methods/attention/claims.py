"""The article's sentences about its two heatmaps, measured, each with a verdict by a stated rule.

Thresholds say what the words mean: "mostly" is more than half, "every" at least nine in ten.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lt_interp.article import article
from lt_interp.methods.attention.claim_values import (
    Value,
    prompt_value,
    story_change,
    story_value,
)
from lt_interp.methods.result import make_table

SELF = "“every token attends mostly to itself”"
BROKE = "“the rigid self-attention diagonal broke open”"
EXAMPLES = "“was” attends to “there”, “girl” attends to “little”"
BEFORE, AFTER = "04_attention", "05_attn_position"
HOLDS, PART, NOT, UNKNOWN = "holds", "holds in part", "does not hold", "not measured"
HALF, EVERY = 0.5, 0.9

STORIES, BEGINNINGS, OVERALL = "stories", "stories, first 8 tokens of a row", "overall"
# Where a claim is measured on stories, and the last query counted: contexts as long as the
# article's prompts are a case of their own, since in longer ones there is more to look at.
STORY_PLACES = ((STORIES, None), (BEGINNINGS, 7))
# Quantity, score, above what it holds, above what in part (None: above the uniform pattern's).
QUANTITIES = (
    ("mean weight of a token on itself", "current", HALF, None),
    ("mean weight on the same token, itself or earlier", "same_token", HALF, None),
    ("share of tokens whose largest weight is on themselves", "self_largest", EVERY, HALF),
    ("share of tokens with more than half on themselves", "self_over_half", EVERY, HALF),
)
EXAMPLE_PAIRS = (("was", "there"), ("girl", "little"))

CLAIMS = {
    "claim": str,
    "stage": str,
    "where": str,
    "quantity": str,
    "value": float,
    "low": float,
    "high": float,
    "baseline": float,
    "baseline_is": str,
    "untrained": float,
    "n_queries": int,
    "n_stories": int,
    "rule": str,
    "verdict": str,
}
_UNIFORM = "the uniform causal pattern"
_BROKE_RULE = "holds below 0 (high end of the interval, where there is one), else does not hold"
_EXAMPLE_RULE = "holds if no key of the row has more weight, in part if it has more than uniform"
_WHOLE_RULE = "holds if every row holds, does not hold if none does even in part, else in part"


def measure_claims(
    by_story: pd.DataFrame, head_scores: pd.DataFrame, patterns: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """A row for every quantity of every claim, and one a claim for the whole of it.

    On the stories a quantity holds only with its whole interval; a single prompt has none, and its
    value decides. Heads of a layer count alike.

    Args:
        by_story: Sums of the scores within each story.
        head_scores: For the untrained stages.
        patterns: The prompts' patterns.
        seed: Of the resampling.
    """
    untrained = head_scores.groupby(["stage", "score"])["untrained"].mean()
    rows = [
        *_self_rows(by_story, untrained, patterns, seed),
        *_broke_rows(by_story, untrained, patterns, seed),
        *_example_rows(patterns),
    ]
    for claim, stage in ((SELF, BEFORE), (BROKE, AFTER), (EXAMPLES, AFTER)):
        verdict = whole({row["verdict"] for row in rows if row["claim"] == claim})
        about = {"claim": claim, "stage": stage, "where": OVERALL, "quantity": OVERALL}
        rows.append({**about, "rule": _WHOLE_RULE, "verdict": verdict})
    return make_table(CLAIMS, rows)


def whole(verdicts: set[str]) -> str:
    """The verdict on a claim from the verdicts on its quantities."""
    verdicts = verdicts - {UNKNOWN}
    if not verdicts:
        return UNKNOWN
    return verdicts.pop() if len(verdicts) == 1 else PART


def judge(least: float, *, holds: float, in_part: float) -> str:
    """A verdict on the low end of an interval, or on a value that has none."""
    return HOLDS if least > holds else PART if least > in_part else NOT


def _self_rows(
    by_story: pd.DataFrame, untrained: pd.Series, patterns: pd.DataFrame, seed: int
) -> Iterator[dict[str, Any]]:
    """04: "every token attends mostly to itself"."""
    for quantity, score, holds, in_part in QUANTITIES:
        more = "the uniform pattern's" if in_part is None else f"{in_part:g}"
        rule = f"holds above {holds:g}, in part above {more} (low end of the interval, if any)"
        values = {
            place: story_value(by_story, BEFORE, score, last_query=last, seed=seed)
            for place, last in STORY_PLACES
        } | {
            prompt: prompt_value(patterns, BEFORE, prompt, score)
            for prompt in article()["heatmap_prompts"]
        }
        for where, value in values.items():
            about = {"claim": SELF, "stage": BEFORE, "where": where, "quantity": quantity}
            row = {**about, "baseline_is": _UNIFORM, "rule": rule, **_numbers(value)}
            if value:
                least = value.value if value.low is None else value.low
                bar = value.baseline if in_part is None else in_part
                row["verdict"] = judge(least, holds=holds, in_part=bar)
                if where == STORIES:
                    row["untrained"] = float(untrained[BEFORE, score])
            yield row


def _broke_rows(
    by_story: pd.DataFrame, untrained: pd.Series, patterns: pd.DataFrame, seed: int
) -> Iterator[dict[str, Any]]:
    """05 minus 04: a diagonal that broke open has less weight, and on fewer tokens."""
    for quantity, score, _, _ in QUANTITIES:
        changes = {
            place: story_change(by_story, BEFORE, AFTER, score, last_query=last, seed=seed)
            for place, last in STORY_PLACES
        } | {
            prompt: _prompt_change(patterns, prompt, score)
            for prompt in article()["heatmap_prompts"]
        }
        for where, change in changes.items():
            about = {"claim": BROKE, "stage": AFTER, "where": where}
            row = {**about, "quantity": f"{quantity}, 05 minus 04", **_numbers(change)}
            row |= {"baseline_is": "no difference", "rule": _BROKE_RULE}
            if change:
                most = change.value if change.high is None else change.high
                row["verdict"] = HOLDS if most < 0 else NOT
                if where == STORIES:
                    row["untrained"] = float(untrained[AFTER, score] - untrained[BEFORE, score])
            yield row


def _prompt_change(patterns: pd.DataFrame, prompt: str, score: str) -> Value | None:
    was, now = (prompt_value(patterns, stage, prompt, score) for stage in (BEFORE, AFTER))
    if was is None or now is None:
        return None
    return Value(value=now.value - was.value, baseline=0.0, n_queries=now.n_queries)


def _example_rows(patterns: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """05: the two examples that the article reads off its second heatmap."""
    prompt = article()["heatmap_prompts"][0]
    cells = patterns[(patterns["stage"] == AFTER) & (patterns["prompt"] == prompt)]
    for query, key in EXAMPLE_PAIRS:
        row = {"claim": EXAMPLES, "stage": AFTER, "where": prompt, "rule": _EXAMPLE_RULE}
        row |= {"quantity": f"weight of “{query}” on “{key}”", "baseline_is": _UNIFORM}
        reading = cells[cells["query_token"].str.strip() == query]
        weights = reading.groupby("key")["weight"].mean()  # over the heads
        keys = reading.loc[reading["key_token"].str.strip() == key, "key"]
        if keys.empty:
            yield {**row, **_numbers(None)}
            continue
        weight, baseline = float(weights[keys.iloc[0]]), 1 / len(weights)
        verdict = judge(weight, holds=float(weights.drop(keys.iloc[0]).max()), in_part=baseline)
        value = Value(value=weight, baseline=baseline, n_queries=1)
        yield {**row, **_numbers(value), "verdict": verdict}


def _numbers(value: Value | None) -> dict[str, Any]:
    """The columns of a value, or the verdict on one that is missing."""
    return dataclasses.asdict(value) if value else {"verdict": UNKNOWN}
