"""Fused kernels are the same function, and hooks see what they always see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lt_interp.model.config import ModelConfig
from lt_interp.model.parts import attention as attention_module
from lt_interp.model.parts.unseen import fused, unseen
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]
FUSED = ["04_attention", "06_ffn", "07_block", "09_multi_head", "10_moe", "10_moe_gated"]


def loss_and_gradients(model: StageModel, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    loss = model(tokens, return_type="loss")
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("stage_id", STAGES)
def test_the_same_function(stage_id: str, small_model: Build, tokens: Tensor) -> None:
    model = small_model(stage_id)
    expected, in_the_open = loss_and_gradients(model, tokens)
    with fused():
        loss, gradients = loss_and_gradients(model, tokens)
    torch.testing.assert_close(loss, expected)
    assert gradients.keys() == in_the_open.keys()
    for name, gradient in in_the_open.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("stage_id", FUSED)
def test_a_hooked_point_is_computed_in_the_open(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    names = [name for name in model.hook_dict if ".hook_result" not in name]
    expected = model.run_with_cache(tokens)[1]
    for name in (n for n in names if n in expected):
        seen: list[Tensor] = []
        with fused():
            model.run_with_hooks(
                tokens, fwd_hooks=[(name, lambda act, hook, seen=seen: seen.append(act))]
            )
        assert len(seen) == 1, name
        torch.testing.assert_close(seen[0].detach(), expected[name], msg=name)


def test_backward_hooks_count_as_looking(small_model: Build, tokens: Tensor) -> None:
    model = small_model("07_block")
    gradients: list[Tensor] = []
    model.add_hook("blocks.0.attn.hook_pattern", lambda grad, hook: gradients.append(grad), "bwd")
    with fused():
        model(tokens, return_type="loss").backward()
    assert len(gradients) == 1


def test_nothing_is_fused_unasked(
    small_model: Build, tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> Tensor:
        raise AssertionError("fused")

    monkeypatch.setattr(attention_module, "scaled_dot_product_attention", refuse)
    model = small_model("07_block")
    model(tokens)
    with fused(), pytest.raises(AssertionError, match="fused"):
        model(tokens)
    model(tokens)


def test_each_expert_computes_its_own_tokens_alone(small_model: Build, tokens: Tensor) -> None:
    model = small_model("10_moe")
    moe = model.blocks[0].mlp
    rows: list[int] = []
    for expert in moe.experts:
        expert.forward = lambda x, forward=expert.forward: (rows.append(x.shape[1]), forward(x))[1]
    with fused():
        model(tokens)
    assert sum(rows) == tokens.numel()


def test_any_hook_counts(small_model: Build) -> None:
    attn = small_model("07_block").blocks[0].attn
    assert not unseen(attn.hook_pattern)
    with fused():
        assert unseen(attn.hook_pattern)
        attn.hook_pattern.register_forward_hook(lambda *_: None)  # as other libraries attach them
        assert not unseen(attn.hook_pattern)
        assert unseen(attn.hook_z)


def test_rotary_positions_are_fused_too(
    small_config: Callable[..., ModelConfig], tokens: Tensor
) -> None:
    config = dataclasses.replace(small_config("09_multi_head"), positions="rotary")
    model = StageModel(config)
    expected = model(tokens)
    with fused():
        torch.testing.assert_close(model(tokens), expected)
