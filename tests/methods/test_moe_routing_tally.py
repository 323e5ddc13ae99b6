"""Counting a part at a time gives what counting everything at once gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lt_interp.methods.moe_routing import contingency, story_tokens
from lt_interp.methods.moe_routing.contingency import Contingency, left_out_information_nats
from lt_interp.methods.moe_routing.information import mutual_information_nats
from lt_interp.methods.moe_routing.resampling import resampled_ratios
from lt_interp.methods.moe_routing.story_groups import left_out_counts
from lt_interp.methods.moe_routing.story_tokens import StoryTokens
from lt_interp.methods.statistics import story_ratios

N, N_STORIES, N_LABELS = 900, 47, 30


@pytest.fixture
def decisions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Story, label and expert; some stories have none."""
    rng = np.random.default_rng(0)
    story = np.sort(rng.choice(np.delete(np.arange(N_STORIES), [0, 5, 30]), N))
    label = rng.zipf(1.4, N) % N_LABELS
    expert = (rng.uniform(size=N) < label / N_LABELS).astype(np.int64)
    return story, label.astype(np.int64), expert


def parts() -> Iterator[slice]:
    for start in range(0, N, 70):  # cuts stories
        yield slice(start, start + 70)


@pytest.mark.parametrize("pending", [1, 10**6])
@pytest.mark.parametrize("last", [N, 40])  # 40 decisions are of fewer stories than groups
def test_information_of_sparse_counts_is_that_of_dense_ones(
    decisions, pending: int, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contingency, "PENDING", pending)
    story, label, expert = (one[:last] for one in decisions)
    counts = Contingency(n_columns=2, n_stories=N_STORIES)
    for part in parts():
        counts.add(label[part], story[part], np.eye(2, dtype=bool)[expert[part]])
    value, left_out = left_out_information_nats(*counts.table(), n_groups=counts.n_groups)
    dense = left_out_counts(story, label, expert, n_labels=N_LABELS, n_experts=2)
    table = np.zeros((N_LABELS, 2), np.int64)
    np.add.at(table, (label, expert), 1)
    assert_allclose(left_out, mutual_information_nats(dense), atol=1e-12)
    assert_allclose(value, mutual_information_nats(table), atol=1e-12)


def test_a_single_group_leaves_nothing_out() -> None:
    counts = Contingency(n_columns=2, n_stories=9)
    counts.add(np.array([0, 1, 1]), np.array([4, 4, 4]), np.eye(2, dtype=bool)[[0, 1, 1]])
    value, left_out = left_out_information_nats(*counts.table(), n_groups=counts.n_groups)
    assert_allclose(left_out, [value])
    assert value > 0.6


@pytest.mark.parametrize("cells", [1, 50, 10**6])
def test_stories_come_back_whole_from_the_file(
    decisions, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story_tokens, "PIECE_CELLS", cells)
    story, label, expert = decisions
    table = StoryTokens(d_vocab=N_LABELS, n_columns=2)
    for part in parts():
        table.add(story[part], label[part], np.eye(2, dtype=bool)[expert[part]])
    expected = np.zeros((N_STORIES, N_LABELS, 2), np.int64)
    np.add.at(expected, (story, label, expert), 1)
    found, seen = np.zeros_like(expected), []
    for piece in table.pieces():
        found[piece.story, piece.token] += piece.counts
        seen += np.unique(piece.story).tolist()
    assert_array_equal(found, expected)
    assert len(seen) == len(set(seen))  # no story is in two pieces
    n_stories, squares = table.votes()
    times = expected.sum(axis=2)
    assert_array_equal(n_stories, (times > 0).sum(axis=0))
    assert_array_equal(squares, np.square(times).sum(axis=0))


def test_intervals_of_pieces_are_those_of_the_whole(decisions) -> None:
    story, label, expert = decisions
    sent = np.zeros((N_STORIES, N_LABELS, 2))
    np.add.at(sent, (story, label, expert), 1)
    sent[1:, 7] = 0  # a label of one story at most
    top, bottom = sent[..., 1], sent.sum(axis=2)
    some = bottom.any(axis=1)
    pieces = [(top[some][a:b], bottom[some][a:b]) for a, b in ((0, 9), (9, 10), (10, None))]
    low, high = resampled_ratios(lambda: pieces, n=N_LABELS, seed=3)
    whole = story_ratios(top, bottom, seed=3)
    assert_array_equal(low, whole.low)
    assert_array_equal(high, whole.high)
    assert np.isnan(low[7])
