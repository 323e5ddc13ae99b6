"""Every score of a head against its definition, written out with loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.attention.heads import uniform
from lt_interp.methods.attention.patterns import patterns, uniform_pattern
from lt_interp.methods.attention.sample import PERIODS, draw_sample, random_repeats
from lt_interp.methods.attention.scores import (
    STORY_SCORES,
    query_scores,
    repeat_scores,
    sums_by_unit,
)
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

from .conftest import tiny

WITH_ATTENTION = [stage for stage in STAGES if STAGES[stage].config.n_heads]
N = 12


def random_pattern(seed: int, *lead: int) -> torch.Tensor:
    scores = torch.randn(*lead, N, N, generator=torch.Generator().manual_seed(seed)) * 2
    return (scores + torch.full((N, N), -torch.inf).triu(1)).softmax(dim=-1)


def one_query(row: np.ndarray, tokens: np.ndarray, q: int) -> dict[str, float]:
    """The scores of query `q` from its row of attention, by the book."""
    keys = range(q + 1)
    largest = max(row[k] for k in keys)
    ties = [k for k in keys if math.isclose(row[k], largest, rel_tol=1e-4)]
    return {
        "current": row[q],
        "same_token": sum(row[k] for k in keys if tokens[k] == tokens[q]),
        "previous": row[q - 1],
        "first": row[0],
        "last_8": sum(row[k] for k in keys if q - k < 8),
        "self_largest": (q in ties) / len(ties),
        "self_over_half": float(row[q] > 0.5),
        "mean_distance_tokens": sum(row[k] * (q - k) for k in keys),
        "entropy_nats": -sum(row[k] * math.log(row[k]) for k in keys),
    }


def test_scores_are_their_definitions() -> None:
    pattern = random_pattern(0, 2, 3, 2)
    tokens = torch.randint(0, 4, (3, N), generator=torch.Generator().manual_seed(1))
    found = query_scores(pattern, tokens).numpy()
    assert found.shape == (2, 3, 2, N - 1, len(STORY_SCORES))
    for layer, row, head in np.ndindex(2, 3, 2):
        for q in range(1, N):
            weights = pattern[layer, row, head, q].double().numpy()
            expected = one_query(weights, tokens[row].numpy(), q)
            assert list(expected) == list(STORY_SCORES)
            assert_allclose(found[layer, row, head, q - 1], list(expected.values()), atol=1e-5)


def test_uniform_pattern_has_the_scores_that_can_be_written_down() -> None:
    tokens = torch.arange(N)[None]  # no token twice
    found = query_scores(uniform(tokens), tokens)[0, 0, 0]
    q = torch.arange(1, N).double()
    expected = {
        "current": 1 / (q + 1),
        "same_token": 1 / (q + 1),
        "previous": 1 / (q + 1),
        "first": 1 / (q + 1),
        "last_8": torch.clamp(8 / (q + 1), max=1),
        "self_largest": 1 / (q + 1),
        "self_over_half": 0 * q,
        "mean_distance_tokens": q / 2,
        "entropy_nats": torch.log(q + 1),
    }
    for place, name in enumerate(STORY_SCORES):
        assert_allclose(found[:, place], expected[name], rtol=2e-6, err_msg=name)


@pytest.mark.parametrize("shape", [(5, 2), (24, 12)])
def test_induction_and_duplicate_read_their_diagonals(shape: tuple[int, int]) -> None:
    period = shape[1]
    pattern = torch.rand(1, 1, 1, 2 * period, 2 * period)
    found = repeat_scores(pattern, period=period)[0, 0, 0]
    for query in range(period, 2 * period):
        row = pattern[0, 0, 0, query]
        assert found[query - period].tolist() == [row[query - period + 1], row[query - period]]


def test_sums_are_taken_within_each_unit() -> None:
    scores = torch.rand(2, 3, 2, 4, 5)
    unit = np.array([[0, 0, 1, 1], [1, 2, 2, 2], [0, 4, 4, 4]])
    found = sums_by_unit(scores, unit, 5)
    for number in range(5):
        chosen = scores.permute(1, 3, 0, 2, 4)[torch.from_numpy(unit == number)]
        assert_allclose(found[number], chosen.double().sum(dim=0), rtol=1e-12)


def test_ties_are_shared_even_where_rounding_broke_them() -> None:
    weights = torch.tensor([0.25, 0.25 * (1 + 1e-6), 0.25, 0.25])
    pattern = torch.zeros(1, 1, 1, 4, 4)
    pattern[..., 3, :] = weights
    scores = query_scores(pattern, torch.arange(4)[None])
    assert_allclose(scores[0, 0, 0, 2, STORY_SCORES.index("self_largest")], 0.25)


# What circuitsvis.attention.attention_patterns(tokens, attention) takes is [head, query, key].
@pytest.mark.parametrize("stage", WITH_ATTENTION)
def test_a_cached_pattern_goes_into_circuitsvis_as_it_is(stage: str, tokenizer) -> None:
    model = StageModel(tiny(stage), tokenizer=tokenizer, seed=3)
    text = "Tom saw a dog."
    _, cache = model.run_with_cache(text, remove_batch_dim=True)
    words = model.to_str_tokens(text)
    ours = patterns(model, model.to_tokens(text))
    for layer in range(model.cfg.n_layers):
        pattern = cache["pattern", layer]
        assert pattern.shape == (model.cfg.n_heads, len(words), len(words))
        assert_allclose(pattern.sum(dim=-1), 1, rtol=1e-6)
        assert not pattern.triu(diagonal=1).any()
        assert (pattern.tril() > 0).sum() == model.cfg.n_heads * len(words) * (len(words) + 1) / 2
        assert torch.equal(pattern, ours[layer, 0])


@pytest.mark.parametrize("stage", WITH_ATTENTION)
def test_patterns_leave_no_hook_behind(stage: str) -> None:
    model = StageModel(tiny(stage), seed=0)
    tokens = torch.arange(8)[None]
    before = model(tokens)
    patterns(model, tokens)
    assert torch.equal(model(tokens), before)
    assert not any(point.fwd_hooks for point in model.hook_dict.values())


@pytest.mark.parametrize("seed", range(3))
def test_without_positions_an_earlier_copy_is_read_like_the_token_itself(seed: int) -> None:
    model = StageModel(tiny("04_attention"), seed=seed)
    tokens = torch.from_numpy(random_repeats(np.arange(50), width=32, seed=seed)[-1].repeated)
    pattern = patterns(model, tokens)
    period = tokens.shape[1] // 2
    current = pattern.diagonal(dim1=-2, dim2=-1)[..., period:]
    assert_allclose(repeat_scores(pattern, period=period)[..., 1], current, rtol=1e-5)


def test_uniform_pattern_is_what_a_head_without_queries_computes() -> None:
    model = StageModel(tiny("05_attn_position"), seed=0)
    torch.nn.init.zeros_(model.blocks[0].attn.W_Q)
    assert torch.equal(patterns(model, torch.arange(32)[None])[0, 0, 0], uniform_pattern(32))


def test_repeated_tokens_hold_every_id_once_a_repetition() -> None:
    ids = np.arange(100, 400)
    found = random_repeats(ids, width=256, seed=0)
    assert tuple(repeats.period for repeats in found) == PERIODS
    for repeats in found:
        period = repeats.period
        assert repeats.repeated.shape == repeats.fresh.shape == (64, 2 * period)
        assert (repeats.repeated[:, :period] == repeats.repeated[:, period:]).all()
        assert (repeats.fresh[:, period:] == repeats.repeated[:, period:]).all()
        assert all(len(set(row)) == 2 * period for row in repeats.fresh.tolist())
        assert set(np.unique(repeats.fresh)) <= set(ids)
    same, other = (random_repeats(ids, width=256, seed=seed)[0] for seed in (0, 1))
    assert (same.fresh == found[0].fresh).all()
    assert (other.fresh != found[0].fresh).any()


def test_periods_shrink_to_what_rows_and_ids_allow() -> None:
    def periods(n_ids: int, width: int) -> list[int]:
        return [one.period for one in random_repeats(np.arange(n_ids), width=width, seed=0)]

    assert periods(300, 32) == [8, 16]
    assert periods(24, 256) == [8, 12]
    assert periods(4, 4) == [2]


@pytest.mark.parametrize(("n_ids", "width"), [(3, 256), (300, 3)])
def test_where_nothing_can_repeat_it_is_said(n_ids: int, width: int) -> None:
    with pytest.raises(InputError, match="two repetitions"):
        random_repeats(np.arange(n_ids), width=width, seed=0)


def test_sample_keeps_each_tokens_story_and_place(rows: Rows) -> None:
    sample = draw_sample(rows, width=32, n_rows=5, eos_id=0, seed=4)
    assert sample.tokens.shape == (5, 32)
    every = rows.tokens[:, :32].tolist()
    for number, row in enumerate(sample.tokens.tolist()):
        place = every.index(row)
        stories = rows.story_ids([place])[0, 1:32]
        assert (sample.corpus_story[sample.unit[number] // sample.n_bins] == stories).all()
    assert (sample.unit[0] % sample.n_bins == np.log2(np.arange(1, 32)).astype(int)).all()
    drawn = np.unique(sample.repeats[-1].fresh)
    assert set(drawn) <= set(np.unique(sample.tokens)) - {0}
    assert sample.unit_counts.sum() == 5 * 31
