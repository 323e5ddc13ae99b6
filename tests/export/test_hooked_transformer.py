"""The state dict and the config against those of HookedTransformer 3.9.0, written down here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lt_interp.export.hooked_transformer import (
    hooked_transformer_config,
    hooked_transformer_weights,
    why_not_hooked_transformer,
)
from lt_interp.model.config import PRE_NORM_RESIDUAL, Experts, ModelConfig, Wiring
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]
WHOLE = {"positions": "learned", "n_heads": 3, "d_mlp": 20, "wiring": PRE_NORM_RESIDUAL}

# {k: tuple(v.shape) for k, v in HookedTransformer(...).state_dict().items()} of 3.9.0, a model of
# d_vocab 30, n_ctx 24, d_model 12, d_mlp 20 and 3 heads of 4; a block's names without "blocks.i."
OUTSIDE_BLOCKS = {
    "embed.W_E": (30, 12),
    "pos_embed.W_pos": (24, 12),
    "ln_final.w": (12,),
    "ln_final.b": (12,),
    "unembed.W_U": (12, 30),
    "unembed.b_U": (30,),
}
A_BLOCK = {
    "ln1.w": (12,),
    "ln1.b": (12,),
    "attn.W_Q": (3, 12, 4),
    "attn.W_K": (3, 12, 4),
    "attn.W_V": (3, 12, 4),
    "attn.W_O": (3, 4, 12),
    "attn.b_Q": (3, 4),
    "attn.b_K": (3, 4),
    "attn.b_V": (3, 4),
    "attn.b_O": (12,),
    "attn.mask": (0, 0),
    "attn.IGNORE": (),
    "ln2.w": (12,),
    "ln2.b": (12,),
    "mlp.W_in": (12, 20),
    "mlp.b_in": (20,),
    "mlp.W_out": (20, 12),
    "mlp.b_out": (12,),
}


def expected(*, without: tuple[str, ...] = ()) -> dict[str, tuple[int, ...]]:
    blocks = {f"blocks.{i}.{name}": shape for i in range(3) for name, shape in A_BLOCK.items()}
    return {
        name: shape
        for name, shape in (OUTSIDE_BLOCKS | blocks).items()
        if not any(part in name for part in without)
    }


def shapes(model: StageModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in hooked_transformer_weights(model).items()}


def test_names_and_shapes_are_those_of_3_9_0(build: Build) -> None:
    assert shapes(build(**WHOLE)) == expected()


def test_a_part_that_is_absent_there_too_is_left_out(build: Build) -> None:
    assert shapes(build(**WHOLE | {"d_mlp": 0})) == expected(without=("mlp.", "ln2."))
    no_norm = build(**WHOLE | {"wiring": Wiring(residual=True)})
    assert shapes(no_norm) == expected(without=("ln1.", "ln2.", "ln_final."))
    assert shapes(build()) == {
        name: OUTSIDE_BLOCKS[name] for name in ("embed.W_E", "unembed.W_U", "unembed.b_U")
    }


def test_positions_that_it_cannot_leave_out_are_zeros(build: Build) -> None:
    weights = hooked_transformer_weights(build(**WHOLE | {"positions": None}))
    assert weights["pos_embed.W_pos"].shape == (24, 12)
    assert not weights["pos_embed.W_pos"].any()


def test_weights_are_the_models_own_and_what_is_added_is_zero(build: Build) -> None:
    model = build(**WHOLE)
    weights = hooked_transformer_weights(model)
    for name, tensor in model.state_dict().items():
        assert weights[name].equal(tensor), name
    added = weights.keys() - model.state_dict().keys()
    assert {name.rpartition(".")[2] for name in added} == {
        "b_Q", "b_K", "b_V", "b_O", "mask", "IGNORE"
    }  # fmt: skip
    assert not any(weights[name].any() for name in added if ".b_" in name)
    assert weights["blocks.2.attn.IGNORE"] == -torch.inf


def test_the_config_speaks_of_the_same_model(build: Build) -> None:
    config = hooked_transformer_config(build(**WHOLE))
    sizes = {"n_layers": 3, "d_model": 12, "n_ctx": 24, "n_heads": 3, "d_head": 4, "d_mlp": 20}
    kinds = {
        "act_fn": "relu",
        "normalization_type": "LN",
        "positional_embedding_type": "standard",
        "eps": 1e-5,
        "attn_only": False,
        "d_vocab": 30,
        "default_prepend_bos": False,
    }
    assert config.items() >= (sizes | kinds).items()


def test_without_blocks_there_is_neither_norm_nor_position_nor_layer(build: Build) -> None:
    config = hooked_transformer_config(build())
    assert config["n_layers"] == 0
    assert config["normalization_type"] is None
    assert config["positional_embedding_type"] == "rotary"
    with_positions = hooked_transformer_config(build(positions="learned"))
    assert with_positions["positional_embedding_type"] == "standard"


@pytest.mark.parametrize(
    ("stage_id", "part"),
    [
        ("01_bag_of_words", "mean of the embeddings"),
        ("02_bow_position", "mean of the embeddings"),
        ("03_bigram", None),
        ("03b_trigram", "concatenated embeddings"),
        ("03b_fourgram", "concatenated embeddings"),
        ("04_attention", "chain"),
        ("05_attn_position", "chain"),
        ("06_ffn", "chain"),
        ("07_block", None),
        ("08_two_blocks", None),
        ("09_multi_head", None),
        ("10_moe", "gated linear units without biases"),
        ("10_moe_gated", "gated linear units without biases"),
    ],
)
def test_every_stage_is_taken_or_has_its_reason(stage_id: str, part: str | None) -> None:
    reason = why_not_hooked_transformer(STAGES[stage_id].config)
    assert reason is None if part is None else part in (reason or "")


@pytest.mark.parametrize(
    "change", [{"tied": True}, {"mlp_bias": False}, {"unembed_bias": False}, {"activation": "gelu"}]
)
def test_other_kinds_of_parts_have_the_same_names_and_shapes(
    change: dict[str, Any], build: Build
) -> None:
    model, usual = build(**WHOLE | change), build(**WHOLE)
    found = hooked_transformer_weights(model)
    expected = hooked_transformer_weights(usual)
    assert {k: t.shape for k, t in found.items()} == {k: t.shape for k, t in expected.items()}
    for name, absent in (
        ("unembed.b_U", "tied" in change or "unembed_bias" in change),
        ("blocks.1.mlp.b_in", "mlp_bias" in change),
        ("blocks.2.mlp.b_out", "mlp_bias" in change),
    ):
        assert (found[name] == 0).all() == absent, name
    if "tied" in change:
        torch.testing.assert_close(found["unembed.W_U"], found["embed.W_E"].T)
    assert hooked_transformer_config(model)["act_fn"] == model.config.activation


def test_parts_that_no_export_carries_over_are_refused() -> None:
    config = ModelConfig(d_model=12, **WHOLE | {"activation": "swiglu", "mlp_bias": False})
    assert "SwiGLU" in (why_not_hooked_transformer(config) or "")


def test_a_block_without_attention_has_a_reason_before_its_experts(build: Build) -> None:
    parts = WHOLE | {"n_heads": 0, "experts": Experts(count=2, gated=False)}
    assert "no attention" in (why_not_hooked_transformer(build(**parts).config) or "")
