"""NaN and infinity are found by the name of what first holds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.model.finite import (
    activation_not_finite,
    finite_activations,
    not_finite,
    require_finite,
    weight_not_finite,
)
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

TOKENS = torch.arange(12).reshape(2, 6)


def model(stage: str = "10_moe_gated") -> StageModel:
    return StageModel(STAGES[stage].config, name=stage)


@pytest.mark.parametrize("stage", STAGES)
def test_every_new_model_is_finite(stage: str) -> None:
    new = StageModel(STAGES[stage].config)
    assert weight_not_finite(new) is None
    assert activation_not_finite(new, TOKENS) is None
    with finite_activations(new):
        new.hidden(TOKENS)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["blocks.1.attn.W_Q", "unembed.b_U", "ln_final.w"])
def test_a_weight_is_named(name: str, value: float) -> None:
    new = model("09_multi_head")
    with torch.no_grad():
        dict(new.named_parameters())[name].view(-1)[3] = value
    assert weight_not_finite(new) == name
    with pytest.raises(InputError, match=f"the weight {name} holds NaN"):
        require_finite(new, TOKENS)
    assert f"the weight {name} holds NaN" in not_finite(new, None)


@pytest.mark.parametrize(
    "name",
    ["hook_embed", "blocks.0.hook_resid_pre", "blocks.0.attn.hook_z", "blocks.0.attn.hook_pattern",
     "blocks.1.mlp.hook_expert_weights", "blocks.1.hook_resid_post"],
)  # fmt: skip
def test_the_first_activation_is_named(name: str) -> None:
    """Planted by a hook: what comes before it is fine, and what comes after is not."""
    new = model()

    def plant(act: torch.Tensor, hook: object) -> torch.Tensor:
        act = act.clone(memory_format=torch.contiguous_format)
        act.view(-1)[5] = torch.nan
        return act

    new.add_hook(name, plant)
    assert activation_not_finite(new, TOKENS) == name


def test_masked_scores_are_fine_and_others_are_not() -> None:
    new = model("05_attn_position")
    assert activation_not_finite(new, TOKENS) is None
    new.add_hook("blocks.0.attn.hook_attn_scores", lambda act, hook: act + torch.inf)
    assert activation_not_finite(new, TOKENS) == "blocks.0.attn.hook_attn_scores"


def overflow(new: StageModel) -> None:
    with torch.no_grad():
        new.blocks[0].mlp.W_in.mul_(1e25)
        new.blocks[0].mlp.W_out.mul_(1e25)


def patch(new: StageModel) -> None:
    new.add_hook("blocks.1.hook_mlp_out", lambda act, hook: act / 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (overflow, "the activation blocks.0.mlp.hook_post|the activation blocks.0.hook_mlp_out"),
        (patch, "the activation blocks.1.hook_mlp_out"),
    ],
)
def test_what_is_measured_is_looked_at(change: Callable[[StageModel], None], said: str) -> None:
    new = model("09_multi_head")
    before = new.hidden(TOKENS)
    change(new)
    with pytest.raises(InputError, match=said), finite_activations(new):
        new.hidden(TOKENS)
    new.reset_hooks()
    if change is patch:  # nothing of the guard is left either
        assert torch.equal(new.hidden(TOKENS), before)
    assert not any(module._forward_hooks for module in new.modules())
    assert not any(module._forward_pre_hooks for module in new.modules())


def test_looking_changes_no_bit() -> None:
    new = model()
    with finite_activations(new):
        looked = new(TOKENS)
    assert torch.equal(looked, new(TOKENS))
