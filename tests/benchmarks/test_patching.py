"""The patching benchmarks ask both ways the same question, and get the same answer."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks import attribution, patching
from lt_interp.methods.activation_patching.grids import every_grid
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES


@pytest.fixture(scope="module")
def model() -> StageModel:
    config = STAGES[patching.STAGE].config
    size = {"d_model": 16, "d_vocab": 64, "n_ctx": 16, "d_mlp": 24}
    return StageModel(dataclasses.replace(config, **size), name=patching.STAGE, seed=7)


def test_all_sweeps_are_compared_and_agree(model: StageModel) -> None:
    pair = patching.random_pairs(1, 6, d_vocab=64)
    theirs = patching.theirs(model, pair)
    assert set(theirs) == set(every_grid(model))
    assert patching.largest_difference(patching.ours(model, pair), theirs) < 1e-4
    assert any(grid.std() > 0 for grid in theirs.values())


def test_both_attributions_are_ours(model: StageModel) -> None:
    pairs = patching.random_pairs(3, 6, d_vocab=64)
    whole = attribution.library(model, pairs)
    mine = attribution.ours(model, pairs, parts=tuple(attribution.NODES.values()))
    assert mine.keys() == whole.keys()
    for part, scores in whole.items():
        assert scores.abs().max() > 0
        assert_allclose(mine[part], scores, atol=1e-6)
    assert_allclose(mine["z"], attribution.heads_alone(model, pairs)["z"], atol=1e-6)


def test_pairs_differ_in_one_token_and_are_the_same_each_time() -> None:
    pairs = patching.random_pairs(5, 9, d_vocab=4096)
    assert pairs.differing == (patching.SWAPPED,)
    assert (pairs.answers[:, 0] != pairs.answers[:, 1]).all()
    again = patching.random_pairs(5, 9, d_vocab=4096)
    assert torch.equal(pairs.corrupt, again.corrupt)
