"""Weights under TransformerLens's names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]

SHAPES = {
    "W_E": (30, 16),
    "W_pos": (24, 16),
    "W_U": (16, 30),
    "b_U": (30,),
    "W_Q": (2, 2, 16, 8),
    "W_K": (2, 2, 16, 8),
    "W_V": (2, 2, 16, 8),
    "W_O": (2, 2, 8, 16),
    "b_Q": (2, 2, 8),
    "b_K": (2, 2, 8),
    "b_V": (2, 2, 8),
    "b_O": (2, 16),
}
DENSE = {"W_in": (2, 16, 32), "b_in": (2, 32), "W_out": (2, 32, 16), "b_out": (2, 16)}
MIXED = {"W_in": (2, 2, 16, 32), "b_in": (2, 2, 32), "W_out": (2, 2, 32, 16), "b_out": (2, 2, 16)}


@pytest.mark.parametrize(
    ("stage_id", "feed_forward"), [("09_multi_head", DENSE), ("10_moe", MIXED)]
)
def test_shapes(stage_id: str, feed_forward: dict[str, tuple], small_model: Build) -> None:
    model = small_model(stage_id)
    for name, shape in {**SHAPES, **feed_forward}.items():
        assert getattr(model, name).shape == shape, name
    assert model.OV.shape == model.QK.shape == (2, 2, 16, 16)
    assert model.all_head_labels() == ["L0H0", "L0H1", "L1H0", "L1H1"]


def test_stacks_hold_the_blocks_weights(small_model: Build) -> None:
    dense, mixed = small_model("09_multi_head"), small_model("10_moe")
    assert torch.equal(dense.W_Q[1], dense.blocks[1].attn.W_Q)
    assert torch.equal(dense.W_out[1], dense.blocks[1].mlp.W_out)
    assert torch.equal(mixed.W_in[1, 0], mixed.blocks[1].mlp.experts[0].W_in)
    assert not any(getattr(dense, name).any() for name in ("b_Q", "b_K", "b_V", "b_O"))
    torch.testing.assert_close(dense.OV.AB[1, 0], dense.W_V[1, 0] @ dense.W_O[1, 0])
    torch.testing.assert_close(dense.QK.AB[1, 0], dense.W_Q[1, 0] @ dense.W_K[1, 0].T)


def test_missing_parts_are_named(small_model: Build) -> None:
    bigram, attention = small_model("03_bigram"), small_model("04_attention")
    for model, name, part in (
        (bigram, "W_pos", "position embeddings"),
        (bigram, "W_Q", "attention"),
        (bigram, "W_in", "feed-forward"),
        (attention, "W_in", "feed-forward"),
    ):
        with pytest.raises(InputError, match=f"no {part}"):
            getattr(model, name)
    assert small_model("03b_fourgram").W_U.shape == (48, 30)


@pytest.mark.parametrize("mode", ["Q", "K", "V"])
def test_composition_scores_are_the_definition(mode: str, small_model: Build) -> None:
    model = small_model("09_multi_head")
    scores = model.all_composition_scores(mode)
    first = model.OV.AB[0, 1]
    second = {"Q": model.QK.AB, "K": model.QK.AB.mT, "V": model.OV.AB}[mode][1, 0]
    expected = (first @ second).norm() / (first.norm() * second.norm())
    torch.testing.assert_close(scores[0, 1, 1, 0], expected)
    assert not scores[1].any()
    assert not scores[:, :, 0].any()
    assert scores[0, :, 1].all()


def test_accumulated_bias_is_what_zero_activations_would_add(small_model: Build) -> None:
    model = small_model("09_multi_head")
    assert not model.accumulated_bias(0).any()
    torch.testing.assert_close(
        model.accumulated_bias(2), model.blocks[0].mlp.b_out + model.blocks[1].mlp.b_out
    )
    assert not model.accumulated_bias(2, include_mlp_biases=False).any()
    with pytest.raises(InputError, match="no single one"):
        small_model("10_moe").accumulated_bias(1)
    with pytest.raises(InputError, match="no residual stream"):
        small_model("06_ffn").accumulated_bias(1)


def test_cfg_speaks_hooked_transformers_words(small_model: Build) -> None:
    cfg = small_model("09_multi_head").cfg
    assert (cfg.n_layers, cfg.n_heads, cfg.d_head, cfg.d_model, cfg.d_mlp) == (2, 2, 8, 16, 32)
    assert (cfg.d_vocab, cfg.n_ctx, cfg.act_fn) == (30, 24, "relu")
    assert (cfg.normalization_type, cfg.attn_only, cfg.default_prepend_bos) == ("LN", False, False)
    assert torch.device(cfg.device).type == "cpu"
    assert cfg.dtype == torch.float32
    assert small_model("04_attention").cfg.attn_only
    assert small_model("04_attention").cfg.normalization_type is None
    assert small_model("03_bigram").cfg.n_layers == 0
    assert small_model("09_multi_head").to(torch.float64).cfg.dtype == torch.float64
    assert small_model("09_multi_head").half().cfg.dtype == torch.float16
