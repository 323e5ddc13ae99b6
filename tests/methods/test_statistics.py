"""Intervals cover what they claim to, and pairs of models are compared on the same stories."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lt_interp.methods import statistics
from lt_interp.methods.statistics import (
    story_bootstrap,
    story_contrast,
    story_difference,
    story_means,
    story_ratios,
    story_totals,
)


def stories(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses whose tokens share their story's difficulty (mean 2.0), summed, and token counts."""
    counts = rng.integers(20, 60, size=n)
    difficulty = rng.normal(2.0, 0.3, size=n)
    noise = rng.normal(0, 1.0, size=n) * np.sqrt(counts)
    return difficulty * counts + noise, counts


def test_estimate_is_the_mean_over_tokens_not_over_stories() -> None:
    totals, counts = np.array([[10.0], [2.0], [3.0]]), np.array([10, 1, 1])
    assert_allclose(story_bootstrap(totals, counts, seed=0).estimate, [15 / 12])


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = {"by story": 0, "by token": 0}
    trials = 200
    for trial in range(trials):
        totals, counts = stories(rng, 60)
        interval = story_bootstrap(totals[:, None], counts, seed=trial, draws=300)
        covered["by story"] += bool(interval.low[0] <= 2.0 <= interval.high[0])
        # what resampling tokens would give: it does not know that stories differ
        error = 1.96 * 1.05 / np.sqrt(counts.sum())
        covered["by token"] += bool(abs(interval.estimate[0] - 2.0) <= error)
    assert 0.90 <= covered["by story"] / trials <= 0.98
    assert covered["by token"] / trials < 0.80


def test_width_agrees_with_the_linearised_error_of_a_ratio() -> None:
    totals, counts = stories(np.random.default_rng(1), 400)
    interval = story_bootstrap(totals[:, None], counts, seed=0)
    residual = totals - interval.estimate[0] * counts
    error = np.sqrt((residual**2).sum()) / counts.sum()
    assert_allclose(interval.high - interval.low, 2 * 1.96 * error, rtol=0.08)


def test_level_and_draws_do_what_they_say() -> None:
    totals, counts = stories(np.random.default_rng(2), 200)
    wide = story_bootstrap(totals[:, None], counts, seed=0)
    narrow = story_bootstrap(totals[:, None], counts, seed=0, level=0.5)
    # quartiles of a normal distribution lie 0.674 standard errors out, the 95% ends 1.96
    ratio = (narrow.high - narrow.low) / (wide.high - wide.low)
    assert_allclose(ratio, 0.674 / 1.96, rtol=0.12)
    once = story_bootstrap(totals[:, None], counts, seed=0, draws=1)
    assert_array_equal(once.low, once.high)


def test_same_seed_same_interval_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    totals, counts = stories(np.random.default_rng(3), 50)
    whole = story_bootstrap(totals[:, None], counts, seed=5, draws=101)
    monkeypatch.setattr(statistics, "CHUNK_CELLS", 50 * 7)
    pieces = story_bootstrap(totals[:, None], counts, seed=5, draws=101)
    other = story_bootstrap(totals[:, None], counts, seed=6, draws=101)
    assert_allclose([pieces.low, pieces.high], [whole.low, whole.high], rtol=1e-12)
    assert other.low != whole.low


def test_columns_share_their_resamples() -> None:
    totals, counts = stories(np.random.default_rng(4), 40)
    both = story_bootstrap(np.stack([totals, 3 * totals], axis=1), counts, seed=0)
    assert_allclose(both.low[1], 3 * both.low[0])
    assert_allclose(both.high[1], 3 * both.high[0])


def test_difference_is_antisymmetric_and_finds_what_was_planted() -> None:
    rng = np.random.default_rng(5)
    first, counts = stories(rng, 150)
    second = first + (0.02 + rng.normal(0, 0.01, size=150)) * counts
    forward = story_difference(first, second, counts, seed=0)
    backward = story_difference(second, first, counts, seed=0)
    assert_allclose(forward.estimate, -backward.estimate)
    assert_allclose([forward.low, forward.high], [-backward.high, -backward.low], rtol=1e-9)
    assert forward.low[0] <= -0.02 <= forward.high[0] < 0
    # unpaired, the stories' own spread hides so small a difference
    alone = story_bootstrap(first[:, None], counts, seed=0)
    assert (forward.high - forward.low)[0] < 0.1 * (alone.high - alone.low)[0]


def test_equal_models_differ_by_nothing() -> None:
    totals, counts = stories(np.random.default_rng(6), 30)
    interval = story_difference(totals, totals, counts, seed=0)
    assert (interval.estimate[0], interval.low[0], interval.high[0]) == (0, 0, 0)


def test_story_without_a_token_changes_nothing() -> None:
    totals, counts = stories(np.random.default_rng(7), 30)
    plain = story_bootstrap(totals[:, None], counts, seed=0)
    padded = story_bootstrap(np.append(totals, 0.0)[:, None], np.append(counts, 0), seed=0)
    assert padded.n_stories == plain.n_stories == 30
    assert_array_equal([padded.low, padded.high], [plain.low, plain.high])


def test_one_story_has_an_estimate_and_no_interval() -> None:
    interval = story_bootstrap(np.array([[6.0]]), np.array([3]), seed=0)
    assert interval.estimate == [2.0]
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("totals", "counts", "options"),
    [
        (np.ones((2, 1)), np.array([0, 0]), {}),
        (np.ones((2, 1)), np.array([1, 1]), {"level": 1.0}),
        (np.ones((2, 1)), np.array([1, 1]), {"draws": 0}),
    ],
)
def test_senseless_input_is_refused(
    totals: np.ndarray, counts: np.ndarray, options: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"token|level"):
        story_bootstrap(totals, counts, seed=0, **options)


def test_ratios_over_ones_are_means() -> None:
    rng = np.random.default_rng(0)
    story = rng.integers(9, size=60)
    values = rng.normal(size=(60, 2))
    counts = np.bincount(story)
    totals = np.stack([np.bincount(story, column) for column in values.T], axis=1)
    expected = story_bootstrap(totals, counts, seed=4)
    ones = story_totals(np.ones_like(values), story)
    for found in (
        story_ratios(story_totals(values, story), ones, seed=4),
        story_means(values, story, seed=4),
    ):
        for part in ("estimate", "low", "high", "n_stories"):
            assert_allclose(getattr(found, part), getattr(expected, part), rtol=1e-12)


def test_ratio_without_enough_stories_is_open() -> None:
    here = np.array([[2.0, 2, 0], [1, 0, 0]])
    found = story_ratios(2 * here, here, seed=0)
    assert found.at(0) == (2.0, 2.0, 2.0)
    assert_array_equal(found.at(1), (2.0, np.nan, np.nan))  # one story alone has this column
    assert_array_equal(found.at(2), (np.nan, np.nan, np.nan))


def test_interval_of_a_share_resamples_stories_and_not_tokens() -> None:
    # Every story sends its ten tokens to one side: worth 40 tokens, not 400.
    rng = np.random.default_rng(0)
    sent = 10.0 * rng.integers(0, 2, (40, 1))
    found = story_ratios(sent, np.full((40, 1), 10.0), seed=0)
    share = sent.sum() / 400
    assert_allclose(found.high - found.low, 2 * 1.96 * np.sqrt(share * (1 - share) / 40), rtol=0.15)


def positions(rng: np.random.Generator, n: int, rise: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts of later and of earlier tokens; how hard a story is belongs to both."""
    counts = rng.integers(0, 60, size=(2, n))
    difficulty = rng.normal(2.0, 0.3, size=n)
    noise = rng.normal(0, 1.0, size=(2, n)) * np.sqrt(counts)
    return (difficulty + np.array([[rise], [0.0]])) * counts + noise, counts


def test_contrast_of_the_same_counts_is_the_paired_difference() -> None:
    totals, counts = stories(np.random.default_rng(8), 60)
    second = totals + np.random.default_rng(9).normal(0, 1, size=60)
    found = story_contrast(
        np.stack([totals, second])[:, :, None], np.stack([counts, counts]), seed=3
    )
    expected = story_difference(totals, second, counts, seed=3)
    for part in ("estimate", "low", "high", "n_stories"):
        assert_allclose(getattr(found, part), getattr(expected, part), rtol=1e-9)


def test_contrast_covers_the_planted_rise_and_pairs_its_columns() -> None:
    covered, trials = 0, 200
    for seed in range(trials):
        totals, counts = positions(np.random.default_rng(seed), 80, rise=0.1)
        _, low, high = story_contrast(totals[:, :, None], counts, seed=0).at(0)
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / trials <= 0.99
    # another model that is worse by as much everywhere, and by 0.02 more at later tokens
    other = totals + np.array([[0.52], [0.5]]) * counts
    columns = np.stack([totals, other, other - totals], axis=2)
    found = story_contrast(columns, counts, seed=0)
    assert_allclose(found.at(2), 0.02, rtol=1e-9)
    assert_allclose(found.estimate[1] - found.estimate[0], found.estimate[2])
    assert found.high[0] - found.low[0] > 0.05


def test_contrast_without_enough_stories_is_open_or_refused() -> None:
    ones = np.ones((2, 3, 1))
    found = story_contrast(ones, np.array([[2, 0, 0], [1, 1, 0]]), seed=0)
    assert found.n_stories == 2
    assert np.isnan([found.low, found.high]).all()
    with pytest.raises(ValueError, match="no story has a token"):
        story_contrast(ones, np.array([[1, 1, 1], [0, 0, 0]]), seed=0)


@pytest.mark.slow
def test_interval_of_a_ratio_covers_as_often_as_it_says() -> None:
    # Correlated within stories and across the line, as KLs are; 95% with 400 tries: 91.7 to 98.3.
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        hard = rng.gamma(2.0, size=(100, 1))
        top, bottom = (hard * rng.gamma(8.0, size=(100, 1)) * scale for scale in (0.3, 0.5))
        _, low, high = story_ratios(top, bottom, seed=seed).at(0)
        covered += low <= 0.6 <= high
    assert 0.917 <= covered / 400 <= 0.983
