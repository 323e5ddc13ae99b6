"""Verdicts that need more than one run: seeds that lie apart, and experts that must be matched."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from lt_interp.methods.article.claim_kinds import gain_finding, seed_spread
from lt_interp.methods.article.claims import ALL_CLAIMS
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.feelings import who_cares
from lt_interp.methods.article.groups import ALL, GROUPS, LAST
from lt_interp.methods.article.head_start import head_start
from lt_interp.methods.article.runs import FITTED, doubt, judging
from lt_interp.methods.article.saved import Saved
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.result import Result
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, UNTESTABLE, at_most_in_part

MOE = "10_moe"
CLAIMS = {claim.name: claim for claim in ALL_CLAIMS}


def evidence(
    *,
    spread: float | None = None,
    q_match: float = 0.01,
    tokens: dict[str, int] | None = None,
    **gains: float,
) -> Evidence:
    """Stages that gain so many nats, and two runs of a mixture of which expert 1 cares."""
    rows = [
        {"stage": stage, "by": by, "class": GROUPS[ALL][0], "difference_nats": gain,
         "low": gain - 0.01, "high": gain + 0.01, "n_tokens": 500, "n_stories": 100}
        for stage, gain in gains.items() for by in (ALL, LAST)
    ]  # fmt: skip
    seeds = [{"stage": MOE, "spread_nats": spread}] if spread else []
    feeling = [
        {"stage": MOE, "checkpoint": run, "layer": layer, "matched_by": "frequency", "expert": 1,
         "difference": difference, "null_low": -0.1, "null_high": 0.1, "q": 0.01,
         "q_random": 0.01}
        for run, differences in ((MOE, (0.3, 0.2)), ("10_moe-seed1", (-0.4, 0.2)))
        for layer, difference in enumerate(differences)
    ]  # fmt: skip
    words = [
        {"stage": MOE, "checkpoint": MOE, "labels": "01/01"},
        {"stage": MOE, "checkpoint": "10_moe-seed1", "labels": "10/01"},
    ]
    agreement = [
        {"checkpoint": MOE, "other_stage": MOE, "layer": str(layer), "q": q}
        for layer, q in enumerate((0.01, q_match))
    ]
    routing = {"feeling_words": feeling, "article_words": words, "agreement": agreement}
    result = Result(
        name="moe_routing", tables={name: pd.DataFrame(table) for name, table in routing.items()}
    )
    saved = Saved(results={"moe_routing": result}, reasons={}, stages=[MOE, *gains])
    tables = {
        "class_gains": pd.DataFrame(rows),
        "seeds": pd.DataFrame(seeds, columns=["stage", "spread_nats"]),
        "settings": pd.DataFrame(
            (tokens or {}).items(), columns=["stage", "tokens_seen"]
        ).convert_dtypes(),
    }
    return Evidence(tables=tables, saved=saved)


def test_a_gain_within_the_spread_of_seeds_holds_in_part_at_most() -> None:
    gain = {"10_moe": -0.03}  # the article's is 0.024
    assert gain_finding(evidence(**gain), MOE).verdict == HOLDS
    assert gain_finding(evidence(spread=0.02, **gain), MOE).verdict == HOLDS
    small = gain_finding(evidence(spread=0.05, **gain), MOE)
    assert small.verdict == IN_PART
    assert "0.050 nats apart" in small.reason
    assert seed_spread(evidence(spread=0.05, **gain), MOE) == 0.05
    assert seed_spread(evidence(**gain), MOE) is None
    other = {"08_two_blocks": -0.2, "09_multi_head": -0.03}  # of one run each
    assert seed_spread(evidence(spread=0.05, **other), "08_two_blocks") == 0.05
    assert gain_finding(evidence(spread=0.05, **other), "09_multi_head").verdict == IN_PART
    assert gain_finding(evidence(**other), "09_multi_head").verdict != FAILS


@pytest.mark.parametrize(
    ("gain", "now", "before", "times", "expected"),
    [
        (-0.03, 100, 100, 1, HOLDS),
        (-0.03, 600, 100, 6, IN_PART),  # the longer training may have done it
        (-0.03, 100, 400, 0.25, HOLDS),  # in spite of the shorter one
        (0.03, 600, 100, 6, FAILS),  # in spite of the longer one
        (0.03, 100, 400, 0.25, UNTESTABLE),
        (0.03, 100, 100, 1, FAILS),
        (0.03, 1_000, 1_009, 1, FAILS),  # a pass in other batches
        (-0.03, 100, None, 1, HOLDS),  # not on record
        (-0.03, 100, 0, 1, HOLDS),
    ],
)
def test_a_gain_is_a_parts_only_as_far_as_the_training_was_alike(
    gain: float, now: int, before: int | None, times: float, expected: str
) -> None:
    tokens: dict[str, Any] = {MOE: now, "09_multi_head": before}
    assert head_start(evidence(tokens=tokens), MOE) == times
    found = gain_finding(evidence(tokens=tokens, **{MOE: gain}), MOE)
    assert found.verdict == expected
    assert found.value == gain
    said = "times the tokens of the one before" in found.reason
    assert said == (times != 1)


def test_a_block_trained_longer_than_what_it_grew_from_is_not_called_steadier() -> None:
    tokens = {"07_block": 600, "06_ffn": 100}
    with pytest.raises(NotMeasured, match="learning rates differ"):
        CLAIMS["Training is steadier"].measure(evidence(tokens=tokens))


def test_every_part_pays_by_rungs_that_were_trained_alike() -> None:
    claim = CLAIMS["Every part pays"]
    gains = {"04_attention": -0.3, "05_attn_position": -0.4, "10_moe": 0.03}
    left_out = claim.measure(evidence(tokens={MOE: 100, "09_multi_head": 600}, **gains))
    assert left_out.verdict == HOLDS
    assert "10_moe is left open" in left_out.reason
    assert left_out.value == -0.3  # the least of the gains that count
    with pytest.raises(NotMeasured, match="read less"):
        claim.measure(evidence(tokens={MOE: 100, "09_multi_head": 600}, **{MOE: 0.03}))
    longer = claim.measure(evidence(tokens={"04_attention": 600, "03_bigram": 100}, **gains))
    assert longer.verdict == FAILS
    assert "04_attention after more training" in longer.reason


def test_every_part_pays_only_beyond_the_spread_of_seeds() -> None:
    claim = CLAIMS["Every part pays"]
    gains = {"04_attention": -0.3, "05_attn_position": -0.4, "10_moe": -0.03}
    assert claim.measure(evidence(**gains)).verdict == HOLDS
    found = claim.measure(evidence(spread=0.05, **gains))
    assert found.verdict == IN_PART
    assert "10_moe by less than runs of one stage lie apart" in found.reason
    assert claim.measure(evidence(**{**gains, "04_attention": 0.3})).verdict == IN_PART
    assert claim.measure(evidence(**{name: 0.1 for name in gains})).verdict == FAILS


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.005, HOLDS), (-0.02, IN_PART), (-0.2, FAILS), (0.2, FAILS)]
)
def test_positions_buy_nothing_by_the_whole_interval(gain: float, expected: str) -> None:
    claim = CLAIMS["Positions buy a bag of words nothing"]
    found = claim.measure(evidence(**{"02_bow_position": gain}))
    assert found.verdict == expected
    assert (found.low, found.high) == pytest.approx((gain - 0.01, gain + 0.01))


def test_runs_are_judged_without_the_one_that_was_fitted() -> None:
    table = pd.DataFrame({"stage": [MOE, MOE, "10_moe_gated"], "checkpoint": ["a", "b", "c"]})
    rows, fitted = judging(table, MOE)
    assert (rows["checkpoint"].tolist(), fitted) == (["b"], False)
    rows, fitted = judging(table.iloc[[0, 2]], MOE)
    assert (rows["checkpoint"].tolist(), fitted) == (["a"], True)
    assert judging(table, "09_multi_head")[0].empty
    assert [at_most_in_part(one) for one in (HOLDS, IN_PART, FAILS)] == [IN_PART, IN_PART, FAILS]


def test_numbers_that_are_a_guess_are_doubted() -> None:
    assert doubt(evidence(), MOE, fitted=False) == ""
    assert doubt(evidence(), MOE, fitted=True) == FITTED
    assert "of 2 layers of the other runs 1 could be matched" in doubt(
        evidence(q_match=0.3), MOE, fitted=False
    )


def test_feelings_are_counted_by_the_common_numbers_and_only_as_far_as_they_are_known() -> None:
    found = who_cares(evidence())
    assert found.verdict == HOLDS  # expert 1 of the other run's layer 0 is the common expert 0
    assert found.value == pytest.approx(0.4)
    assert "towards expert 1 in 4 of 4" in found.reason
    guessed = who_cares(evidence(q_match=0.3))
    assert guessed.verdict == IN_PART
    assert "are a guess" in guessed.reason
