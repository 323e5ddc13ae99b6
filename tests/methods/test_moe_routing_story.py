"""Story words and words of structure: planted apart, alike, and beside planted random routers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.story_structure import (
    difference_p,
    kinds,
    story_structure_rows,
)
from lt_interp.methods.moe_routing.tally import Tallied, tallied
from lt_interp.methods.moe_routing.together import with_random_q

EACH = 200  # decisions of a token
NOUNS = [f" thing{i}" for i in range(8)]
OTHERS = [" and", " of", ",", ".", " the", " to", " or", "?"]
TOKENS = [*NOUNS, *OTHERS, " she", " But", " rare"]
CLASSES = [*["noun"] * 8, *["function word", "function word", "punctuation", "punctuation"] * 2,
           "pronoun", "function word", "noun"]  # fmt: skip


def sent(story: float, structure: float) -> np.ndarray:
    """Decisions [token expert] where expert 1 gets these shares of either kind."""
    shares = np.array([story] * 8 + [structure] * 8 + [1.0, 1.0, 1.0])
    n = np.array([EACH] * 18 + [9])
    to_1 = np.rint(shares * n).astype(int)
    return np.stack([n - to_1, to_1], axis=1)


def decisions(counts: np.ndarray) -> Tallied:
    token = np.repeat(np.repeat(np.arange(len(TOKENS)), 2), counts.reshape(-1))
    expert = np.repeat(np.tile([0, 1], len(TOKENS)), counts.reshape(-1))
    zeros = np.zeros_like(token)
    routed = Routed(
        name="0", layer=zeros, token=token, previous=zeros - 1, position=zeros, row=zeros,
        story=zeros, expert=expert, n_experts=2, n_stories=1, d_vocab=len(TOKENS),
    )  # fmt: skip
    return tallied(routed)


def measured(counts: np.ndarray, random: list[np.ndarray]) -> list[dict[str, Any]]:
    return story_structure_rows(decisions(counts), TOKENS, CLASSES, np.stack(random), seed=0)


def test_kinds_leave_out_pronouns_and_what_opens_a_sentence() -> None:
    story, structure = kinds(TOKENS, CLASSES)
    assert np.flatnonzero(story).tolist() == [*range(8), 18]
    assert np.flatnonzero(structure).tolist() == [*range(8, 16)]


def test_a_planted_division_is_found_and_set_beside_random_routers() -> None:
    random = [sent(0.9, 0.1), sent(0.1, 0.9), sent(0.5, 0.45), sent(0.3, 0.6)]
    (row,) = measured(sent(0.8, 0.3), random)
    assert row["story_share"] == pytest.approx(0.8)
    assert row["structure_share"] == pytest.approx(0.3)
    assert row["difference"] == pytest.approx(0.5)
    assert row["p"] < 0.001
    assert row["random_routers_as_far"] == 0.5  # two of four, one of them the other way round
    assert row["random_router_abs_difference"] == pytest.approx((0.8 + 0.8 + 0.05 + 0.3) / 4)
    assert (row["n_story"], row["n_structure"], row["n_draws"]) == (8, 8, 4)  # not the rare noun
    assert row["load"] == pytest.approx(decisions(sent(0.8, 0.3)).loads()[1])


def test_kinds_that_go_alike_are_not_apart() -> None:
    (row,) = measured(sent(0.6, 0.6), [sent(0.6, 0.6)])
    assert (row["difference"], row["p"], row["random_routers_as_far"]) == (0, 1, 1)


def test_too_few_words_are_not_asked() -> None:
    few = sent(0.8, 0.3)
    few[4:8] = [1, 1]
    assert measured(few, [few]) == []


def test_random_routers_give_a_q_that_counts_the_trained_one() -> None:
    table = pd.DataFrame({"random_routers_as_far": [0.0, 0.5], "n_draws": [999, 999]})
    assert with_random_q(table)["q_random"].tolist() == pytest.approx([0.002, 0.5005])


def test_permutation_finds_a_shift_and_nothing_in_equal_words() -> None:
    rng = np.random.default_rng(0)
    same, other = rng.uniform(0, 1, 40), rng.uniform(0, 1, 40)
    assert difference_p(same + 0.5, other, seed=0) < 0.01
    assert difference_p(same, np.sort(same), seed=0) == pytest.approx(1, abs=0.02)
    assert difference_p(same, other, seed=3) == difference_p(same, other, seed=3)
