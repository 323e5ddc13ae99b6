from __future__ import annotations

import pytest

from lt_interp.report import blindness_text as text


@pytest.fixture
def differences(blindness):
    stages = ["01_bag_of_words", "03_bigram", "05_attn_position"]
    return blindness(stages).tables["differences"]


def turn(differences, stage: str, *, weights: str = "trained") -> None:
    """Give every verdict on a stage its opposite."""
    rows = (differences["stage"] == stage) & (differences["weights"] == weights)
    differences.loc[rows, "identical"] = ~differences.loc[rows, "identical"]


def test_answer_parts_the_stages_by_how_often_they_are_blind(differences):
    assert text.answer_sentence(differences) == (
        "Blind to the order of the words: **01 Bag of words**. Blind in one form of the pair only: "
        "**03 Bigram**. Tells the orders apart in every form: **05 + Position**."
    )
    turn(differences, "01_bag_of_words")
    turn(differences, "05_attn_position")
    turned = text.answer_sentence(differences)
    assert turned.startswith("Blind to the order of the words: **05 + Position**.")
    assert turned.endswith("Tells the orders apart in every form: **01 Bag of words**.")


def test_blind_stages_of_one_form_are_counted(differences):
    trained = differences[differences["weights"] == "trained"]
    printed = trained[trained["variant"] == "as printed"].copy()
    assert text.blind_sentence(printed).endswith("**01 Bag of words** (1 of 3 stages).")
    printed["identical"] = False
    assert text.blind_sentence(printed).endswith("no stage of 3.")


def test_surprise_is_named_with_what_was_expected(differences):
    assert "(6 of 6 comparisons)" in text.expected_sentence(differences)
    turn(differences, "05_attn_position")
    said = text.expected_sentence(differences)
    assert said.startswith("In 2 of 6 comparisons the architecture led to expect otherwise")
    assert "**05 + Position** (as printed: identical where different was expected)" in said


def test_untrained_verdicts_are_compared_with_trained_ones(differences):
    assert "the verdict is the same (6 of 6" in text.untrained_sentence(differences)
    turn(differences, "03_bigram", weights="untrained")
    said = text.untrained_sentence(differences)
    assert "**03 Bigram** (as printed) and **03 Bigram** (with a common last token)" in said
    trained = differences[differences["weights"] == "trained"]
    assert "is open" in text.untrained_sentence(trained)


def test_scale_names_the_smallest_and_the_largest_share(blindness):
    table = blindness(["05_attn_position", "06_ffn", "01_bag_of_words"]).tables["differences"]
    table = table[(table["weights"] == "trained") & (table["variant"] == "as printed")].copy()
    assert text.scale_sentence(table).startswith("The difference is 0.31 times")
    table["max_abs_logit_difference"] = [4.0, 16.0, 100.0]
    assert text.scale_sentence(table) == (
        "Beside unrelated contexts, the difference is smallest for **05 + Position** (0.5 times "
        "theirs) and largest for **06 + FFN** (2.0 times)."
    )
    assert "no difference to weigh" in text.scale_sentence(table.iloc[2:])
