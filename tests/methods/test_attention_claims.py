"""Verdicts on the article's sentences follow the numbers, whichever way these point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lt_interp.article import article
from lt_interp.methods.attention.claims import (
    AFTER,
    BEFORE,
    BROKE,
    EXAMPLES,
    HOLDS,
    NOT,
    PART,
    SELF,
    STORIES,
    UNKNOWN,
    measure_claims,
    whole,
)

PROMPT = article()["heatmap_prompts"][0]
WORDS = PROMPT.split()


def by_story(stage: str, mean: float, *, seed: int, n: int = 60) -> pd.DataFrame:
    """Sums of shares that scatter about a mean, over places in the row up to 15."""
    rng = np.random.default_rng(seed)
    rows = []
    for story in range(n):
        for first in (1, 2, 4, 8):
            total = first * np.clip(mean + rng.normal(0, 0.02), 0, 1)
            rows.append(
                {"stage": stage, "layer": 0, "head": 0, "story": story, "first_query": first,
                 "n_queries": first, "current": total, "same_token": total, "self_largest": total,
                 "self_over_half": total, "uniform": 0.1 * first, "uniform_same_token": 0.1 * first}
            )  # fmt: skip
    return pd.DataFrame(rows)


def patterns(stage: str, own: float) -> pd.DataFrame:
    """Each word gives itself `own` and the rest to the word before."""
    rows = []
    for query, word in enumerate(WORDS):
        for key in range(query + 1):
            weight = {0: own if query else 1.0, 1: 1 - own}.get(query - key, 0.0)
            rows.append({"stage": stage, "prompt": PROMPT, "layer": 0, "head": 0, "query": query,
                         "key": key, "query_token": " " + word, "key_token": " " + WORDS[key],
                         "weight": weight})  # fmt: skip
    return pd.DataFrame(rows)


def head_scores(*stages: str) -> pd.DataFrame:
    scores = ["current", "same_token", "self_largest", "self_over_half"]
    return pd.DataFrame(
        [{"stage": stage, "score": score, "untrained": 0.1} for stage in stages for score in scores]
    )


def claims(before: float | None, after: float | None) -> pd.DataFrame:
    measured = [(s, m) for s, m in ((BEFORE, before), (AFTER, after)) if m is not None]
    stories = [by_story(stage, mean, seed=place) for place, (stage, mean) in enumerate(measured)]
    cells = [patterns(stage, mean) for stage, mean in measured]
    table = measure_claims(
        pd.concat(stories), head_scores(*(s for s, _ in measured)), pd.concat(cells), seed=0
    )
    assert set(table["verdict"]) <= {HOLDS, PART, NOT, UNKNOWN}
    return table


def verdict(table: pd.DataFrame, claim: str) -> str:
    rows = table[(table["claim"] == claim) & (table["where"] == "overall")]
    return rows["verdict"].item()


@pytest.mark.parametrize(("own", "expected"), [(0.97, HOLDS), (0.7, PART), (0.05, NOT)])
def test_mostly_to_itself_needs_half_and_every_nine_in_ten(own: float, expected: str) -> None:
    table = claims(own, 0.3)
    rows = table[(table["claim"] == SELF) & (table["where"] == STORIES)]
    assert whole(set(rows["verdict"])) == expected
    means = rows[rows["quantity"] == "mean weight of a token on itself"].iloc[0]
    assert means["value"] == pytest.approx(own, abs=0.01)
    assert means["baseline"] == pytest.approx(0.1)
    assert means["low"] < means["value"] < means["high"]
    assert means["n_stories"] == 60


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(0.9, 0.4, HOLDS), (0.4, 0.9, NOT), (0.6, 0.6, NOT)]
)
def test_the_diagonal_broke_open_only_where_it_fell(
    before: float, after: float, expected: str
) -> None:
    table = claims(before, after)
    rows = table[(table["claim"] == BROKE) & (table["where"] == STORIES)]
    assert set(rows["verdict"]) == {expected}
    assert rows["value"].to_numpy(float) == pytest.approx(after - before, abs=0.01)


def test_an_interval_that_holds_zero_is_no_fall() -> None:
    rows = claims(0.6, 0.6).query("claim == @BROKE and where == @STORIES")
    assert ((rows["low"] < 0) & (rows["high"] > 0)).all()


@pytest.mark.parametrize(("after", "expected"), [(0.2, HOLDS), (0.7, PART), (0.95, NOT)])
def test_the_examples_are_read_off_the_heatmap(after: float, expected: str) -> None:
    # Above uniform (1/6 and 1/9) but not the largest at 0.3, below both at 0.05.
    assert verdict(claims(0.9, after), EXAMPLES) == expected


def test_prompt_scores_leave_out_the_first_word_and_count_copies() -> None:
    table = claims(0.6, 0.3).query("claim == @SELF and where == @PROMPT").set_index("quantity")
    value = table["value"]
    assert value["mean weight of a token on itself"] == pytest.approx(0.6)
    assert value["share of tokens whose largest weight is on themselves"] == 1
    assert value["share of tokens with more than half on themselves"] == 1
    # The second "a" stands four words after the first, which is not the word before it.
    same = "mean weight on the same token, itself or earlier"
    assert value[same] == pytest.approx(0.6)
    uniform = sum(1 / (q + 1) for q in range(1, 9))
    assert table.loc[same, "baseline"] == pytest.approx((uniform + 1 / 7) / 8)
    assert set(table["n_queries"]) == {8}
    assert table[["low", "high"]].isna().all(axis=None)


def test_a_stage_that_is_missing_leaves_its_claims_open() -> None:
    table = claims(0.95, None)
    assert verdict(table, SELF) != UNKNOWN
    assert verdict(table, BROKE) == verdict(table, EXAMPLES) == UNKNOWN
    assert (table.query("claim == @BROKE")["verdict"] == UNKNOWN).all()


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({HOLDS}, HOLDS),
        ({HOLDS, UNKNOWN}, HOLDS),
        ({HOLDS, NOT}, PART),
        ({PART, NOT}, PART),
        ({NOT}, NOT),
        ({UNKNOWN}, UNKNOWN),
        (set(), UNKNOWN),
    ],
)
def test_the_whole_of_a_claim(verdicts: set[str], expected: str) -> None:
    assert whole(verdicts) == expected
