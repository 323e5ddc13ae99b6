"""Verdicts turn with the numbers they are computed from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lt_interp.methods.article.claim_kinds import published_gain
from lt_interp.methods.article.claims_attention import names_learned
from lt_interp.methods.article.claims_experts import (
    claimed,
    emergence,
    generalist,
    one_generalist,
)
from lt_interp.methods.article.claims_ngrams import explosion
from lt_interp.methods.article.claims_parts import heads_apart
from lt_interp.methods.article.claims_prompt import first_response
from lt_interp.methods.article.claims_story import division
from lt_interp.methods.article.claims_whole import most
from lt_interp.methods.article.feelings import cares
from lt_interp.methods.verdict import (
    FAILS,
    HOLDS,
    IN_PART,
    above,
    all_of,
    below,
    gain,
    within,
    yes,
)


@pytest.mark.parametrize(
    ("difference", "high", "expected"),
    [
        (-0.30, -0.20, HOLDS),  # as much as was published
        (-0.15, -0.10, HOLDS),  # half of it
        (-0.14, -0.10, IN_PART),  # certain, but less than half
        (-0.30, 0.01, FAILS),  # large, but not certain
        (-0.30, 0.0, FAILS),
        (0.20, 0.30, FAILS),
        (-0.30, float("nan"), FAILS),
        (-0.30, None, FAILS),
    ],
)
def test_gain(difference: float, high: float | None, expected: str) -> None:
    assert gain(difference, high, published=0.30) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.51, 0.6, HOLDS), (0.4, 0.6, IN_PART), (0.3, 0.5, FAILS), (0.3, 0.4, FAILS)],
)
def test_above_and_below_are_mirror_images(low: float, high: float, expected: str) -> None:
    assert above(low, high, 0.5) == expected
    assert below(-high, -low, -0.5) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.01, 0.01, HOLDS),
        (0.01, 0.03, IN_PART),
        (-0.05, 0.05, IN_PART),
        (0.03, 0.05, FAILS),
        (-0.05, -0.03, FAILS),
    ],
)
def test_within(low: float, high: float, expected: str) -> None:
    assert within(low, high, 0.02) == expected


def test_several_verdicts_make_one() -> None:
    assert all_of([HOLDS, HOLDS]) == yes(True, True) == HOLDS
    assert all_of([FAILS, FAILS]) == yes(False, False) == FAILS
    assert all_of([HOLDS, FAILS]) == yes(True, False) == IN_PART
    assert all_of([IN_PART, IN_PART]) == IN_PART


def test_rules_of_single_claims() -> None:
    assert [explosion(ratio) for ratio in (2.0, 1.2, 1.0, 0.5)] == [HOLDS, IN_PART, FAILS, FAILS]
    assert [generalist(ratio) for ratio in (0.1, 0.4, 0.9)] == [HOLDS, IN_PART, FAILS]
    assert [most(n, 8) for n in (8, 5, 4)] == [HOLDS, IN_PART, FAILS]
    assert [claimed(*n) for n in ((13, 16, 16), (3, 9, 16), (3, 8, 16))] == [HOLDS, IN_PART, FAILS]


@pytest.mark.parametrize(
    ("q_shuffled", "q_random", "reached", "expected"),
    [
        ((0.01, 0.01), (0.01, 0.02), (True, True), HOLDS),
        ((0.01, 0.01), (0.01, 0.02), (True, False), IN_PART),
        ((0.01, 0.01), (0.01, 0.02), (False, False), FAILS),  # no gradient descent at a router
        ((0.01, 0.01), (0.01, 0.60), (True, True), IN_PART),  # one router is like a random one
        ((0.01, 0.01), (0.01, 0.60), (False, True), FAILS),  # and no gradient reaches the other
        ((0.01, 0.01), (0.60, 0.60), (True, True), FAILS),
        ((0.01, 0.40), (0.01, 0.01), (True, True), IN_PART),
        ((0.40, 0.40), (0.60, 0.01), (True, True), FAILS),
    ],
)
def test_what_any_random_router_shows_is_not_learned(
    q_shuffled: tuple[float, ...],
    q_random: tuple[float, ...],
    reached: tuple[bool, ...],
    expected: str,
) -> None:
    routers = {"q_shuffled": q_shuffled, "q_random": q_random, "reached": reached}
    assert emergence(pd.DataFrame(routers)) == expected


@pytest.mark.parametrize(
    ("q", "q_random", "to_expert_1", "expected"),
    [
        ((0.01, 0.01), (0.01, 0.02), (0.3, 0.2), HOLDS),
        ((0.01, 0.01), (0.01, 0.02), (0.3, -0.2), IN_PART),  # another expert in another run
        ((0.01, 0.01), (0.01, 0.09), (0.3, 0.2), IN_PART),  # a random router parts them as far
        ((0.01, 0.09), (0.01, 0.02), (0.3, 0.2), IN_PART),
        ((0.09, 0.09), (0.01, 0.02), (0.3, 0.2), FAILS),
        ((0.01, 0.01), (0.09, 0.60), (0.3, 0.2), FAILS),  # random routers part them as far
    ],
)
def test_an_expert_cares_beyond_random_routers_and_in_all_runs(
    q: tuple[float, ...], q_random: tuple[float, ...], to_expert_1: tuple[float, ...], expected: str
) -> None:
    cases = pd.DataFrame({"q": q, "q_random": q_random, "to_expert_1": to_expert_1})
    assert cares(cases) == expected


def test_generalist_in_every_run() -> None:
    assert one_generalist([(5, 50), (2, 80)]) == HOLDS
    assert one_generalist([(5, 50), (80, 2)]) == IN_PART  # the other expert in the other run
    assert one_generalist([(80, 2), (30, 29)]) == FAILS


def test_names_are_learned_only_above_the_bigram() -> None:
    assert names_learned(0.6, 0.4) == HOLDS
    assert names_learned(0.8, 0.7) == IN_PART
    assert names_learned(0.8, 0.9) == FAILS  # worse than the bigram
    assert names_learned(0.4, 0.1) == FAILS


def test_bigram_beside_the_n_grams_is_the_published_one() -> None:
    assert published_gain("03b_trigram") == pytest.approx(np.log(37.4 / 23.8))
    assert published_gain("04_attention") == pytest.approx(np.log(35.8 / 25.0))


@pytest.mark.parametrize(
    ("low", "earlier", "expected"),
    [
        (0.05, [(-0.01, 0.01), (-0.02, 0.03)], HOLDS),  # the first
        (0.05, [(0.01, 0.02), (-0.02, 0.03)], IN_PART),  # not the first, but the most
        (0.05, [(0.01, 0.20), (-0.02, 0.03)], FAILS),  # neither
        (-0.01, [(-0.01, 0.01)], FAILS),  # it does not respond itself
    ],
)
def test_first_to_answer(low: float, earlier: list[tuple[float, float]], expected: str) -> None:
    before = pd.DataFrame(earlier, columns=["low", "high"])
    assert first_response({"low": low, "high": low + 0.02}, before) == expected


def test_heads_that_differ_and_heads_that_do_not() -> None:
    rows = pd.DataFrame(
        [("previous", 0, 0.6, 0.5, 0.7), ("previous", 1, 0.1, 0.0, 0.2),
         ("first", 0, 0.3, 0.2, 0.4), ("first", 1, 0.35, 0.25, 0.45)],
        columns=["score", "head", "value", "low", "high"],
    )  # fmt: skip
    gap = heads_apart(rows)
    assert (gap.score, gap.verdict) == ("previous", HOLDS)
    assert (gap.difference, gap.apart) == pytest.approx((0.5, 0.3))
    assert heads_apart(rows[rows["score"] == "first"]).verdict == FAILS
    rows.loc[0, "low"] = 0.25
    assert heads_apart(rows).verdict == IN_PART


def test_story_and_structure_divided_between_two_experts() -> None:
    sure = {"q": 0.001, "q_random": 0.001}
    assert division(0.8, 0.3, **sure, load=0.5) == division(0.3, 0.8, **sure, load=0.5) == HOLDS
    assert division(0.8, 0.6, **sure, load=0.7) == HOLDS  # on either side of the load
    assert division(0.8, 0.3, **sure, load=0.9) == IN_PART
    assert division(0.8, 0.3, q=0.2, q_random=0.001, load=0.5) == FAILS
    assert division(0.8, 0.3, q=0.001, q_random=0.2, load=0.5) == FAILS  # so do random routers
