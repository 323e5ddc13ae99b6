from __future__ import annotations

import pandas as pd
import pytest

from lt_interp.report import text


def pair(difference: float, low: float, high: float, *, stage="10_moe", previous="09_multi_head"):
    row = {"stage": stage, "previous": previous, "difference_nats": difference, "low": low,
           "high": high}  # fmt: skip
    return pd.DataFrame([row])


def sentence_of(*numbers: float) -> str:
    return text.pair_sentence(next(pair(*numbers).itertuples()))


def test_pair_sentence_turns_with_the_interval():
    assert sentence_of(-0.1, -0.2, -0.05) == (
        "**10 + MoE** against **09 + Multi-head**: "
        "lower by 0.100 nats [−0.200, −0.050], excludes zero."
    )
    assert "higher by 0.100 nats [+0.050, +0.200], excludes zero" in sentence_of(0.1, 0.05, 0.2)
    assert "not distinguishable, −0.100 nats [−0.200, +0.050] includes zero" in sentence_of(
        -0.1, -0.2, 0.05
    )
    assert "too few stories" in sentence_of(-0.1, float("nan"), float("nan"))


@pytest.fixture
def chain():
    """Every step from 04 to 09 gains."""
    steps = zip(text.CHAIN, text.CHAIN[1:])
    return pd.concat([pair(-0.1, -0.2, -0.05, stage=b, previous=a) for a, b in steps])


def test_order_holds_only_when_every_step_gains(chain):
    assert text.order_sentence(chain).startswith("The order 04 > 05 > 06 > 07 > 08 > 09")
    chain.iloc[2, chain.columns.get_loc("high")] = 0.01
    turned = text.order_sentence(chain)
    assert "does not hold throughout" in turned
    assert "06 → 07; 4 of 5 steps gain" in turned


def test_order_names_the_steps_that_were_not_measured(chain):
    partial = text.order_sentence(chain.iloc[:2])
    assert partial == (
        "Each measured step of the order gains with an interval below zero: 04 → 05 and 05 → 06. "
        "Not measured: 06 → 07, 07 → 08 and 08 → 09."
    )
    assert "their order is open" in text.order_sentence(chain.iloc[:0])


def test_unequal_training_is_said_of_the_pairs_it_touches(evolution):
    tables = evolution(["07_block", "08_two_blocks", "09_multi_head"]).tables
    ladder, pairs = tables["ladder"], tables["pairs"]
    ladder["tokens_seen"] = 9_200_000
    assert text.unequal_sentence(pairs, ladder) == ""
    ladder.loc[2, "tokens_seen"] = 55_200_000
    assert text.unequal_sentence(pairs, ladder) == (
        "Training is part of a difference where one stage read more: "
        "**09 + Multi-head** read 55.2 M tokens, **08 + Depth** 9.2 M."
    )
    ladder["tokens_seen"] = [9_200_000, 9_201_000, 9_200_000]  # a pass in other batches
    assert text.unequal_sentence(pairs, ladder) == ""
    ladder["tokens_seen"] = [9_200_000, None, 55_200_000]
    assert text.unequal_sentence(pairs, ladder) == ""


def test_what_another_seed_may_turn_is_said(evolution):
    tables = evolution(["09_multi_head", "10_moe", "10_moe_gated"]).tables
    ladder, pairs = tables["ladder"], tables["pairs"]
    ladder["loss_nats"] = [2.30, 2.50, 2.49]
    assert text.seeds_sentence(ladder, pairs) == ""
    again = ladder.iloc[[1, 2, 2]].assign(loss_nats=[2.44, 2.53, 2.48])
    pairs = pairs.assign(difference_nats=[0.20, -0.01])
    assert text.seeds_sentence(pd.concat([ladder, again]), pairs) == (
        "Runs of **10 + MoE** that differ in their seed alone lie 0.060 nats apart, which no "
        "interval here allows for. Another seed may turn what is less than that: **10 + MoE, "
        "gated** against **10 + MoE**. The mean over 3 runs of **10 + MoE, gated** lies +0.030 "
        "nats from that over 2 of **10 + MoE**."
    )
    less = text.pair_sentence(next(pair(-0.1, -0.2, -0.05).itertuples()), seeds=0.11)
    assert less.endswith("excludes zero, but is less than seeds lie apart.")


def test_best_stage_is_that_of_the_lowest_perplexity(evolution):
    ladder = evolution(["07_block", "08_two_blocks"]).tables["ladder"]
    assert "**08 + Depth** predicts best, with perplexity 9.50 (95% interval 9.31 to 9.79)" in (
        text.best_sentence(ladder)
    )
    ladder.loc[1, "perplexity"] = 30.0
    assert "**07 + Residual/LN** predicts best" in text.best_sentence(ladder)
    assert "**08 + Depth** predicts worst" in text.best_sentence(ladder)
    assert text.best_sentence(ladder.iloc[:1]).startswith("One stage was measured: **07")


def test_article_is_compared_by_its_own_rule(evolution):
    ladder = evolution(["01_bag_of_words", "09_multi_head"]).tables["ladder"]
    ladder[["perplexity", "perplexity_last_token"]] = [[200.0, 300.0], [8.0, 99.0]]
    assert text.article_sentence(ladder) == (
        "Lower perplexity here than in the article: **09 + Multi-head** (1 of 2 compared)."
    )
    ladder[["perplexity", "perplexity_last_token"]] = [[300.0, 200.0], [8.4, 1.0]]
    assert "**01 Bag of words** (1 of 2 compared)" in text.article_sentence(ladder)
    ladder["perplexity_last_token"] = 300.0
    assert "no stage of 2 compared" in text.article_sentence(ladder)


def test_article_without_a_figure_is_said(evolution):
    ladder = evolution(["10_moe_gated"]).tables["ladder"]
    assert "no figure" in text.article_sentence(ladder)
    assert "no parameter counts" in text.parameters_sentence(ladder)


def test_curve_sentence_counts_the_points_that_lie_below():
    points = pd.DataFrame({
        "perplexity": [40.0, 30.0, 20.0, 10.0], "our_perplexity": [39.0, 29.0, 19.0, None],
    })  # fmt: skip
    said = text.curve_sentence("09_multi_head", points)
    assert "below the published curve at every one of the 3 points it reaches" in said
    assert "(4 points are published)" in said
    assert "at the one point it reaches" in text.curve_sentence("05_attn_position", points[2:])
    points.loc[0, "our_perplexity"] = 40.0
    assert "at 2 of the 3 points" in text.curve_sentence("09_multi_head", points)
    points["our_perplexity"] = 50.0
    assert "not below the published curve at any of the 4" in text.curve_sentence("x", points)
    points["our_perplexity"] = None
    assert "ends before the first published point" in text.curve_sentence("x", points)


def test_parameters_that_differ_are_named_with_their_difference(evolution):
    ladder = evolution(["01_bag_of_words", "09_multi_head"]).tables["ladder"]
    assert text.parameters_sentence(ladder) == (
        "The number of parameters is exactly the article's in 2 of 2 stages."
    )
    ladder.loc[1, "parameters"] += 1280
    assert "1 of 2 stages. It differs for **09 + Multi-head** by 1,280." in (
        text.parameters_sentence(ladder)
    )
