"""Decisions are what the hooks show, in the order of the corpus."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.moe_routing.decisions import Decisions, collect, rows_needed, special_ids
from lt_interp.methods.moe_routing.load import repetition_rows
from lt_interp.methods.moe_routing.routed import routed
from lt_interp.methods.moe_routing.tally import Tally

from .moe_stages import stage


@pytest.fixture(scope="module")
def decisions(rows: Rows) -> Decisions:
    return collect(stage("10_moe", ByteTokenizer()), rows, rows.n_rows)


def test_decisions_are_those_of_the_hooks(rows: Rows) -> None:
    model = stage("10_moe", ByteTokenizer(), seed=3)
    found = collect(model, rows, 20)
    tokens = torch.from_numpy(rows.tokens[:20, :-1].astype(np.int64))
    _, cache = model.run_with_cache(tokens)
    kept = ~np.isin(tokens.numpy(), special_ids(model))
    story = rows.story_ids(slice(20))[:, :-1]
    assert_array_equal(found.token, tokens.numpy()[kept])
    assert_array_equal(found.story, story[kept])
    for layer in range(2):
        chosen = cache["expert_indices", layer, "mlp"][..., 0].numpy()
        assert_array_equal(found.expert[layer], chosen[kept])
        weights = cache["expert_weights", layer, "mlp"].numpy()[kept].astype(np.float64)
        assert_allclose(
            found.margin_logits[layer], np.abs(np.log(weights[:, 0] / weights[:, 1])), atol=1e-5
        )
        assert_allclose(
            found.entropy_nats[layer], -(weights * np.log(weights)).sum(axis=1), atol=1e-5
        )
        norm = model.blocks[layer].ln2
        read = cache["normalized", layer, "ln2"] * norm.w + norm.b
        assert_allclose(found.inputs[layer], read.detach().numpy()[kept], atol=1e-6)


def test_neighbours_are_positions_of_one_row_that_are_counted(decisions: Decisions) -> None:
    has = decisions.before >= 0
    before = decisions.before[has]
    assert_array_equal(decisions.row[before], decisions.row[has])
    assert_array_equal(decisions.position[before] + 1, decisions.position[has])
    assert_array_equal(decisions.token[before], decisions.previous[has])
    assert (decisions.previous[decisions.position == 0] == -1).all()
    lost = ~has & (decisions.position > 0)  # after the end of a story
    assert lost.any()
    assert np.isin(decisions.previous[lost], special_ids(stage("10_moe", ByteTokenizer()))).all()


def test_repetition_is_counted_within_layers(decisions: Decisions) -> None:
    found = {row["layer"]: row for row in repetition_rows(Tally.of(decisions), seed=0)}
    same = []
    for layer in range(2):
        pairs = [
            (decisions.expert[layer, i], decisions.expert[layer, j])
            for i, j in enumerate(decisions.before)
            if j >= 0
        ]
        share = np.mean([a == b for a, b in pairs])
        assert_allclose(found[str(layer)]["repeated_share"], share)
        assert found[str(layer)]["n_pairs"] == len(pairs)
        same.append(share)
        load = np.bincount(decisions.expert[layer]) / len(decisions.token)
        assert_allclose(found[str(layer)]["chance_sum_p_squared"], np.square(load).sum())
    assert_allclose(found["pooled"]["repeated_share"], np.mean(same))
    for column in ("chance_sum_p_squared", "expected_from_tokens"):  # not those of pooled loads
        mean = np.mean([found[str(layer)][column] for layer in range(2)])
        assert_allclose(found["pooled"][column], mean)


def test_pooling_adds_up_layers_and_numbers_may_be_exchanged(decisions: Decisions) -> None:
    pooled = routed(decisions, [0, 1])
    apart = [routed(decisions, [layer]).token_counts() for layer in (0, 1)]
    assert_array_equal(pooled.token_counts(), apart[0] + apart[1])
    turned = routed(decisions, [0, 1], labels=((0, 1), (1, 0)))
    assert_array_equal(turned.token_counts(), apart[0] + apart[1][:, ::-1])


def test_rows_are_read_until_there_are_enough(rows: Rows) -> None:
    special = [0]
    per_row = 2 * (rows.tokens[:, :-1] != 0).sum(axis=1)
    assert rows_needed(rows, special, n_layers=2, decisions=int(per_row[:3].sum())) == 3
    assert rows_needed(rows, special, n_layers=2, decisions=int(per_row[:3].sum()) + 1) == 4
    assert rows_needed(rows, special, n_layers=2, decisions=10**9) == rows.n_rows
    with pytest.raises(InputError, match="asks for no decision"):
        rows_needed(rows, special, n_layers=2, decisions=0)
