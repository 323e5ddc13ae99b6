"""The lens is TransformerLens's and ends at the model's own logits."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from einops import rearrange
from torch import Tensor
from transformer_lens.tools.analysis import logit_lens as transformer_lens_logit_lens

from lt_interp.methods.logit_lens.points import lens_points, read_points, why_not
from lt_interp.methods.logit_lens.readout import read
from lt_interp.model.config import ModelConfig
from lt_interp.stages import STAGES

from .lens_stages import random_model, tokens_of

STREAMS = ["07_block", "08_two_blocks", "09_multi_head", "10_moe", "10_moe_gated"]
READABLE = [stage for stage, row in STAGES.items() if why_not(row.config) is None]


@pytest.fixture
def tokens() -> Tensor:
    return tokens_of()


@pytest.mark.parametrize("stage", READABLE)
def test_the_last_point_is_the_models_own_prediction(stage: str, tokens: Tensor) -> None:
    model = random_model(stage)
    vectors = read_points(model, tokens)
    assert torch.allclose(vectors[-1] @ model.W_U + model.b_U, model(tokens), atol=1e-5)
    assert len(vectors) == len(lens_points(model.config))


def test_only_the_n_grams_cannot_be_read() -> None:
    assert set(STAGES) - set(READABLE) == {"03b_trigram", "03b_fourgram"}
    assert "256 numbers" in str(why_not(STAGES["03b_trigram"].config))


def test_points_follow_the_stream_and_chains_are_descriptive_but_for_their_end() -> None:
    two = lens_points(STAGES["09_multi_head"].config)
    assert [point.name.removeprefix("blocks.") for point in two] == [
        "0.hook_resid_pre", "0.hook_resid_mid", "0.hook_resid_post", "1.hook_resid_mid",
        "1.hook_resid_post",
    ]  # fmt: skip
    assert not any(point.descriptive for point in two)
    chain = lens_points(STAGES["06_ffn"].config)
    assert [(point.name, point.descriptive) for point in chain] == [
        ("hook_embed", True),
        ("hook_embed + hook_pos_embed", True),
        ("blocks.0.hook_attn_out", True),
        ("blocks.0.hook_mlp_out", False),
    ]
    assert [point.descriptive for point in lens_points(STAGES["03_bigram"].config)] == [False]
    rewritten = lens_points(STAGES["char_post_norm"].config)
    assert [point.descriptive for point in rewritten] == [True] * 10 + [False]
    only_attention = dataclasses.replace(STAGES["08_two_blocks"].config, d_mlp=0)
    assert len(lens_points(only_attention)) == 3


@pytest.mark.parametrize("stage", STREAMS)
def test_agrees_with_transformer_lens(stage: str, tokens: Tensor) -> None:
    model = random_model(stage)
    targets = tokens.roll(-1, dims=1)
    vectors = read_points(model, tokens)
    ours = read(vectors.flatten(1, 2), model.W_U, model.b_U, targets.flatten())
    theirs = transformer_lens_logit_lens(
        model, tokens, incl_mid=True, positions=None, targets=targets, return_type="log_probs"
    )
    log_p = rearrange(theirs.values, "point b p 1 -> point (b p)")
    rank = rearrange(theirs.rank_trajectory(), "point b p -> point (b p)")
    # its stack has the embeddings, then the state before and between the parts of each layer
    same = [theirs.labels.index(label) for label in _labels(model.config)]
    assert torch.allclose(ours.loss_nats, -log_p[same], atol=1e-4)
    assert ours.rank.equal(rank[same] + 1)


def _labels(config: ModelConfig) -> list[str]:
    names = ["0_pre"]
    for layer in range(config.depth):
        last = layer == config.depth - 1
        names += [f"{layer}_mid", "final_post" if last else f"{layer + 1}_pre"]
    return names


@pytest.mark.parametrize("hook", ["ln_final.hook_normalized", "unembed.hook_out"])
def test_a_model_that_is_changed_after_its_last_point_is_refused(hook: str, tokens: Tensor) -> None:
    model = random_model("07_block")
    model.mod_dict[hook].add_perma_hook(lambda value, hook: value + 0.01)
    with pytest.raises(RuntimeError, match="differ from the model's own"):
        read_points(model, tokens)


def test_reading_leaves_the_model_without_hooks(tokens: Tensor) -> None:
    model = random_model("09_multi_head")
    read_points(model, tokens)
    assert not any(point.fwd_hooks for point in model.hook_dict.values())
