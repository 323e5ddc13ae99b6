"""What is planted in one part of a model is found there by the lens and by the attribution."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from lt_interp.methods.logit_lens.attribution_tables import attribution_rows
from lt_interp.methods.logit_lens.corpus import Sample, corpus_rows
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

V = 8
POSITIONS = 10


def planted(part: str) -> StageModel:
    """Two blocks, of which one part of the first says which token follows; all else is silent.

    Embeddings are one-hot in the first `V` of 2 `V` dimensions and the unembedding reads the other
    `V`, so nothing can be read of the embeddings. The attention looks at its own token only.
    """
    config = dataclasses.replace(
        STAGES["08_two_blocks"].config, d_model=2 * V, d_vocab=V, n_ctx=12, d_mlp=2 * V
    )
    model = StageModel(config, name="08_two_blocks")
    one_hot, after, same = torch.eye(V, 2 * V), torch.eye(V).roll(1, dims=1), torch.eye(2 * V)
    with torch.no_grad():
        for name, param in model.named_parameters():
            if "ln" not in name:
                param.zero_()
        model.embed.W_E.copy_(one_hot)
        model.unembed.W_U[V:] = 10 * torch.eye(V)
        block = model.blocks[0]
        if part == "L0H0":
            for weight, scale in ((block.attn.W_Q, 20), (block.attn.W_K, 20), (block.attn.W_V, 1)):
                weight[0] = scale * same
            block.attn.W_O[0, :V, V:] = 5 * after
        else:
            block.mlp.W_in.copy_(same)
            block.mlp.W_out[:V, V:] = 5 * after
    return model


def sample(n_rows: int = 20) -> Sample:
    """Rows in which every token is followed by the next id, a story a row."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, V, size=(n_rows, 1))
    tokens = (starts + np.arange(POSITIONS + 1)) % V
    story = np.repeat(np.arange(n_rows)[:, None], POSITIONS, axis=1)
    shuffled = rng.permutation(tokens[:, 1:].ravel()).reshape(n_rows, POSITIONS)
    return Sample(tokens=tokens, story=story, shuffled=shuffled)


def rows_of(model: StageModel) -> list[dict[str, Any]]:
    return corpus_rows(model, sample(), seed=0, report=lambda n: None)


@pytest.mark.parametrize(("part", "found_at"), [("L0H0", 1), ("0_mlp_out", 2)])
def test_the_lens_finds_it_where_it_is_written_and_not_before(part: str, found_at: int) -> None:
    rows = rows_of(planted(part))
    losses = np.array([row["loss_nats"] for row in rows])
    assert np.allclose(losses[:found_at], math.log(V), atol=1e-4)
    assert (losses[found_at:] < 0.01).all()
    assert [row["top1_accuracy"] for row in rows] == [0.0] * found_at + [1.0] * (5 - found_at)
    ranks = [row["geometric_mean_rank"] for row in rows]
    assert np.allclose(ranks, [V] * found_at + [1] * (5 - found_at))
    assert rows[found_at]["change_high"] < -1
    assert rows[found_at]["p"] < 0.05
    assert {row["p"] for row in rows[1:]} == {1.0, rows[found_at]["p"]}
    assert {row["untrained_n_tokens"] for row in rows} == {4 * POSITIONS}


@pytest.mark.parametrize("part", ["L0H0", "0_mlp_out"])
def test_the_attribution_gives_the_logit_to_that_part(part: str) -> None:
    found = attribution_rows(planted(part), sample(), {}, seed=0, report=lambda n: None)
    (applies,) = found["attribution_applies"]
    assert applies["attribution_applies"]
    shares = {row["component"]: row for row in found["attribution"]}
    assert shares[part]["contribution_logits"] == pytest.approx(applies["logit_minus_mean"])
    assert shares[part]["contribution_logits"] > 10
    assert shares[part]["p"] < 0.05
    others = [row["contribution_logits"] for name, row in shares.items() if name != part]
    assert np.allclose(others, 0, atol=1e-4)
    # A token dealt out at random is the true one in one of V cases, and one of the others else.
    assert abs(shares[part]["shuffled_contribution_logits"]) < 3


def test_a_last_block_that_writes_nothing_changes_nothing() -> None:
    config = dataclasses.replace(
        STAGES["08_two_blocks"].config, d_model=16, d_vocab=V, n_ctx=12, d_mlp=8
    )
    model = StageModel(config, name="08_two_blocks")
    block = model.blocks[1]
    with torch.no_grad():
        for weight in (block.attn.W_O, block.mlp.W_out, block.mlp.b_out):
            weight.zero_()
    before, middle, after = rows_of(model)[2:]
    for row in (middle, after):
        assert row["change_from_previous_nats"] == row["change_low"] == row["change_high"] == 0
        assert row["p"] == 1
        assert row["loss_nats"] == before["loss_nats"]
    assert before["kl_to_final_nats"] == 0
