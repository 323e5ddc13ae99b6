"""The order of the rows: every epoch all of them once, decided by the seed alone."""

from __future__ import annotations

import numpy as np

from lt_interp.training.batches import batch_rows


def test_an_epoch_takes_distinct_rows() -> None:
    for epoch in range(3):
        steps = range(epoch * 5, epoch * 5 + 5)
        rows = np.concatenate([batch_rows(step, 22, 4, seed=0) for step in steps])
        assert len(set(rows.tolist())) == 20
        assert 0 <= rows.min() <= rows.max() < 22


def test_epochs_differ_and_seeds_differ() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        return np.concatenate(
            [batch_rows(epoch * 5 + i, 20, 4, seed=seed) for i in range(5)]
        ).tolist()

    orders = [order(epoch, seed) for epoch in (0, 1) for seed in (0, 1)]
    assert len({tuple(rows) for rows in orders}) == 4
    assert all(sorted(rows) == list(range(20)) for rows in orders)


def test_the_same_step_is_the_same_rows_whatever_came_before() -> None:
    first = batch_rows(7, 22, 4, seed=3)
    batch_rows(2, 22, 4, seed=3)
    np.random.default_rng(0).random()
    assert batch_rows(7, 22, 4, seed=3).tolist() == first.tolist()
