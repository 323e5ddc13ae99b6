from __future__ import annotations

import pandas as pd
import pytest

from lt_interp.report import blindness_orders_text as text

from .blindness_rows import order_tables

STAGES = ["03_bigram", "03b_trigram", "04_attention", "05_attn_position", "09_multi_head"]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return order_tables(STAGES)


def change(table: pd.DataFrame, stage: str, weights: str = "trained", **values: object) -> None:
    """Give one row other values."""
    row = (table["stage"] == stage) & (table["weights"] == weights)
    for column, value in values.items():
        table.loc[row, column] = value


def test_verdicts_part_the_trained_stages(tables):
    verdicts = tables["verdicts"]
    assert text.verdict_sentence(verdicts) == (
        "Blind by construction: **03 Bigram** and **04 + Attention**. Reads only a window of 2 "
        "tokens: **03b Trigram**. Order-sensitive: **05 + Position** and **09 + Multi-head**."
    )
    change(verdicts, "04_attention", verdict="order-sensitive")
    change(verdicts, "05_attn_position", weights="untrained", verdict="blind by construction")
    assert text.verdict_sentence(verdicts).endswith(
        "Order-sensitive: **04 + Attention**, **05 + Position** and **09 + Multi-head**."
    )


def test_surprises_are_named(tables):
    verdicts = tables["verdicts"]
    assert "(10 of 10, 5 of them on random weights)" in text.expected_verdict_sentence(verdicts)
    change(verdicts, "05_attn_position", "untrained", verdict="blind as far as measured")
    assert text.expected_verdict_sentence(verdicts) == (
        "In 1 of 10 verdicts the architecture led to expect otherwise: **05 + Position**, "
        "untrained (blind as far as measured where order-sensitive was expected)."
    )


def test_reading_a_bag_is_told_from_reading_nothing(tables):
    table, verdicts = tables["permutations"], tables["verdicts"]
    said = text.nothing_read_sentence(table, verdicts)
    assert said.startswith("Of the blind stages, **04 + Attention** reads the earlier words but")
    assert "**03 Bigram** reads nothing before the last token" in said
    change(table, "03_bigram", reference_kl_nats=1.0)
    assert "**03 Bigram** and **04 + Attention** read the earlier" in (
        text.nothing_read_sentence(table, verdicts)
    )
    assert "nothing before" not in text.nothing_read_sentence(table, verdicts)
    verdicts["verdict"] = "order-sensitive"
    assert text.nothing_read_sentence(table, verdicts).startswith("No trained stage is blind")


def test_cost_spans_the_sensitive_stages_and_counts_rises(tables):
    verdicts, table = tables["verdicts"], tables["permutations"]
    change(table, "09_multi_head", kl_nats=0.2, loss_change_nats=-0.1, loss_change_low=-0.2)
    change(verdicts, "09_multi_head", sensitivity=0.25)
    assert text.size_sentence(table, verdicts) == (
        "Where the whole order is read, shuffling moves the prediction by a KL of 0.2 to 0.9 nats, "
        "25.0% to 60.0% of what another story's prefix does; the loss of the true next token "
        "changes by −0.100 to +0.800 nats, a rise whose interval excludes zero at 1 of 2 stages."
    )
    verdicts["sensitivity"] = float("nan")
    assert "another story" not in text.size_sentence(table, verdicts)
    verdicts["verdict"] = "blind by construction"
    assert text.size_sentence(table, verdicts).startswith("No trained stage reads the whole order")


def test_window_says_what_is_behind_it_and_when_a_shuffle_does_more(tables):
    verdicts = tables["verdicts"]
    said = text.window_sentence(verdicts)
    assert said.endswith("**03b Trigram** 3.0e-14 (bound 4.0e-12, 200 prefixes).")
    change(verdicts, "03b_trigram", sensitivity_low=1.1)
    assert "more than another story's prefix for **03b Trigram**" in text.window_sentence(verdicts)
    assert text.window_sentence(verdicts.iloc[:2]) == "No trained stage reads a window only."


@pytest.mark.parametrize(
    ("low", "high", "counts"),
    [(0.5, 0.7, "higher at 2, lower at 0 and not told apart at 0 of 2 stages"),
     (0.1, 0.15, "higher at 1, lower at 1 and not told apart at 0 of 2 stages"),
     (0.3, 0.7, "higher at 1, lower at 0 and not told apart at 1 of 2 stages")],
)  # fmt: skip
def test_training_raises_lowers_or_leaves_the_share(tables, low, high, counts):
    change(tables["verdicts"], "05_attn_position", sensitivity_low=low, sensitivity_high=high)
    assert counts in text.training_sentence(tables["verdicts"])


def test_training_is_open_without_untrained_stages(tables):
    verdicts = tables["verdicts"]
    trained = verdicts[verdicts["weights"] == "trained"]
    assert text.training_sentence(trained).startswith("No stage that reads the whole order")


def test_distance_counts_what_falls_and_what_rises(tables):
    swaps, verdicts = tables["swaps"], tables["verdicts"]
    said = text.distance_sentence(swaps, verdicts)
    assert "swapped 1 and 48 tokens before the last" in said
    assert "by a KL of 0.08 and 0.0017 nats" in said
    assert "farther back matters less at 2, more at 0" in said
    far = (swaps["stage"] == "05_attn_position") & (swaps["distance"] == 48)
    swaps.loc[far, ["low", "high"]] = [0.5, 0.7]
    assert "matters less at 1, more at 1 and" in text.distance_sentence(swaps, verdicts)
    swaps.loc[far, ["low", "high"]] = [0.05, 0.7]
    assert text.distance_sentence(swaps, verdicts).endswith("not told apart at 1 of 2 stages.")
    one = swaps[swaps["distance"] == 1]
    assert text.distance_sentence(one, verdicts).startswith("No trained stage reads the whole")


def test_sample_counts_what_was_asked_and_left_out(tables):
    assert text.sample_sentence(tables["permutations"]) == (
        "205 prefixes from 204 stories, 1,640 orders in all; 3 more had to be left out because the "
        "earlier tokens are all equal. For 201 another story has a prefix of that length and last "
        "token."
    )
    tables["permutations"]["n_excluded"] = 0
    assert "none had to be left out" in text.sample_sentence(tables["permutations"])
