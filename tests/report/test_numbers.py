from __future__ import annotations

import math

import pandas as pd
import pytest

from lt_interp.report import numbers


@pytest.mark.parametrize(
    ("value", "text"), [(8.314, "8.31"), (99.994, "99.99"), (99.996, "100.0"), (1270.83, "1,270.8")]
)
def test_perplexity_loses_a_decimal_at_100(value, text):
    assert numbers.perplexity(value) == text


def test_perplexity_is_the_exponential_of_the_loss():
    assert numbers.perplexity_of(math.log(9.0)) == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("value", "text"), [(-0.1234, "−0.123"), (0.5, "+0.500"), (-0.0004, "0.000"), (0.0, "0.000")]
)
def test_nats_have_a_sign_unless_they_round_to_zero(value, text):
    assert numbers.nats(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.4e-7, "2.4e-07"), (0.0123, "0.012"), (3.14, "3.1")]
)
def test_small_numbers_keep_two_figures(value, text):
    assert numbers.small(value) == text


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA])
def test_what_is_missing_is_a_dash(missing):
    functions = [numbers.perplexity, numbers.published, numbers.nats, numbers.count,
                 numbers.millions, numbers.small, numbers.percent]  # fmt: skip
    assert {function(missing) for function in functions} == {numbers.MISSING}
    assert numbers.ends(missing, 1.0) == numbers.MISSING


def test_others():
    assert numbers.count(1052672) == "1,052,672"
    assert numbers.millions(55_080_000) == "55.1 M"
    assert numbers.percent(0.3204) == "32.0%"
    assert numbers.ends(8.2, 8.46) == "8.20 to 8.46"
