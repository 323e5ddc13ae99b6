"""The sign-flip test against full enumeration and on data without an effect; many tests at once."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import kstest

from lt_interp.methods.significance import false_discovery_q, sign_flip_p, with_q


def test_few_units_agree_with_every_set_of_signs() -> None:
    rng = np.random.default_rng(0)
    totals = rng.normal(0.7, 1, size=(9, 4))
    every = np.array(list(product((-1.0, 1.0), repeat=9)))
    reached = np.abs(every @ totals) >= np.abs(totals.sum(axis=0)) * (1 - 1e-9)
    assert_allclose(sign_flip_p(totals, seed=1, draws=60_000), reached.mean(axis=0), atol=0.01)


def test_zero_everywhere_is_certain_and_one_unit_is_no_test() -> None:
    assert sign_flip_p(np.zeros((7, 1)), seed=0).tolist() == [1.0]
    assert np.isnan(sign_flip_p(np.ones((1, 2)), seed=0)).all()


def test_a_large_effect_reaches_the_smallest_p() -> None:
    totals = np.random.default_rng(0).normal(3, 1, size=(200, 1))
    assert sign_flip_p(totals, seed=0, draws=999).tolist() == [1 / 1000]


def test_flipping_all_signs_changes_nothing() -> None:
    totals = np.random.default_rng(5).normal(size=(30, 6))
    assert_allclose(sign_flip_p(totals, seed=3), sign_flip_p(-totals, seed=3))


def test_without_an_effect_p_is_uniform_whatever_the_size_of_a_unit() -> None:
    rng = np.random.default_rng(2)
    sizes = rng.exponential(5, size=(80, 1))
    totals = rng.normal(size=(80, 800)) * sizes
    p = sign_flip_p(totals, seed=4, draws=1999)
    assert kstest(p, "uniform").pvalue > 0.01
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.025)


def test_what_was_not_tested_takes_no_part() -> None:
    p = np.array([0.001, np.nan, 0.02, 0.9])
    q = false_discovery_q(p)
    assert_allclose(q[[0, 2, 3]], [0.003, 0.03, 0.9])
    assert np.isnan(q[1])
    assert np.isnan(false_discovery_q(np.array([np.nan]))).all()


def test_q_stands_beside_the_p_of_every_row_that_was_tested() -> None:
    table = pd.DataFrame({"p": [0.01, np.nan, 0.04, 0.03], "n": 5})
    found = with_q(table)
    assert list(found) == ["p", "q", "n"]
    assert_allclose(found["q"], [0.03, np.nan, 0.04, 0.04])
    assert list(table) == ["p", "n"]
