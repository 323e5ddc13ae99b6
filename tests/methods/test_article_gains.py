"""What differs on one class of tokens shows as a gain there and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import false_discovery_control

from lt_interp.methods.article.gains import class_gains, neighbours
from lt_interp.methods.article.groups import ALL, GROUPS, TOKEN_CLASS
from lt_interp.methods.token_classes import CLASSES

BEFORE, AFTER = "03_bigram", "04_attention"
N_STORIES, N_TOKENS = 60, 20


def losses(seed: int, *, shift: dict[str, float] | None = None, noise: float = 0.3) -> pd.DataFrame:
    """Two stages with the same expected loss on every class, but for what is planted."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for name in CLASSES:
        hard = rng.normal(3.0, 1.0, size=N_STORIES)  # in both stages: it cancels
        for stage in (BEFORE, AFTER):
            added = (shift or {}).get(name, 0.0) if stage == AFTER else 0.0
            mean = hard + added + rng.normal(0, noise, size=N_STORIES)
            rows += [
                {"stage": stage, "by": TOKEN_CLASS, "class": name, "story": story,
                 "loss_nats": N_TOKENS * loss, "n_tokens": N_TOKENS}
                for story, loss in enumerate(mean)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def test_only_the_planted_class_gains() -> None:
    gains = class_gains(losses(0, shift={"verb": -0.5}), seed=0).set_index("class")
    assert gains.index[gains["q"] < 0.05].tolist() == ["verb"]
    verb = gains.loc["verb"]
    assert verb["low"] < -0.5 < verb["high"] < 0
    assert (gains["n_tokens"] == N_STORIES * N_TOKENS).all()
    assert (gains["n_stories"] == N_STORIES).all()


def test_sign_follows_the_later_stage() -> None:
    gains = class_gains(losses(1, shift={"noun": 0.5}), seed=0).set_index("class")
    assert gains.loc["noun", "low"] > 0
    assert gains.loc["noun", ["stage", "previous"]].tolist() == [AFTER, BEFORE]


def test_estimate_is_the_difference_per_token() -> None:
    table = losses(2)
    gains = class_gains(table, seed=0).set_index("class")["difference_nats"]
    sums = table.pivot_table(index="class", columns="stage", values="loss_nats", aggfunc="sum")
    expected = (sums[AFTER] - sums[BEFORE]) / (N_STORIES * N_TOKENS)
    assert_allclose(gains, expected[gains.index], rtol=1e-12)


def test_q_is_benjamini_hochberg_over_everything() -> None:
    gains = class_gains(losses(3, shift={"verb": -0.1, "name": 0.2}), seed=0)
    assert_allclose(gains["q"], false_discovery_control(gains["p"]), rtol=1e-12)
    assert (gains["q"] >= gains["p"]).all()


def test_stories_without_the_class_are_left_out() -> None:
    table = losses(4)
    table = table[(table["class"] != "name") | (table["story"] < 10)]
    gains = class_gains(table, seed=0).set_index("class")
    assert gains.loc["name", "n_stories"] == 10
    assert gains.loc["verb", "n_stories"] == N_STORIES


def test_one_story_has_no_interval_and_no_test() -> None:
    table = losses(5)
    gains = class_gains(table[table["story"] == 0], seed=0)
    assert gains[["low", "high", "p", "q"]].isna().all(axis=None)
    assert gains["difference_nats"].notna().all()


def test_same_seed_same_table_and_no_pair_no_rows() -> None:
    table = losses(6)
    assert class_gains(table, seed=3).equals(class_gains(table, seed=3))
    assert not class_gains(table, seed=3).equals(class_gains(table, seed=4))
    assert class_gains(table[table["stage"] == AFTER], seed=0).empty


def test_neighbours_are_the_ladders() -> None:
    assert neighbours(["01_bag_of_words", "03_bigram", "03b_trigram", "05_attn_position"]) == [
        ("03_bigram", "01_bag_of_words"),
        ("03b_trigram", "03_bigram"),
    ]


def test_classes_partition_all_tokens() -> None:
    assert GROUPS[TOKEN_CLASS] == CLASSES
    assert len(GROUPS[ALL]) == 1


@pytest.mark.slow
def test_false_positives_on_null_data_stay_nominal() -> None:
    """Both stages draw their losses alike: 5% of p below 0.05, and a discovery in 5% of tables."""
    runs = 300
    tables = [class_gains(losses(1000 + run), seed=run) for run in range(runs)]
    p = np.concatenate([table["p"] for table in tables])
    found = np.array([(table["q"] < 0.05).any() for table in tables])
    covered = np.concatenate([(table["low"] < 0) & (table["high"] > 0) for table in tables])
    # standard errors: 0.0044 over 2,400 tests, 0.013 over 300 tables
    assert abs((p < 0.05).mean() - 0.05) < 0.015
    assert found.mean() < 0.09
    assert covered.mean() > 0.92
