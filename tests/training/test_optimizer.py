"""Which parameter goes where, and optimizers' state as named tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES, Stage
from lt_interp.training.muon import Muon
from lt_interp.training.optimizer import (
    build_optimizers,
    gradient_norms,
    optimizer_tensors,
    part_of,
    restore_optimizers,
    set_lr,
)
from lt_interp.training.recipe import recipe_for

Build = Callable[[str], Stage]
PARTS = {"embed", "pos_embed", "attn", "mlp", "router", "ln", "unembed"}


def test_parts_by_name() -> None:
    for name, part in {
        "embed.W_E": "embed",
        "pos_embed.W_pos": "pos_embed",
        "blocks.0.attn.W_Q": "attn",
        "blocks.1.mlp.b_in": "mlp",
        "blocks.1.mlp.experts.0.W_in": "mlp",
        "blocks.1.mlp.router.weight": "router",
        "blocks.0.ln1.w": "ln",
        "ln_final.b": "ln",
        "unembed.b_U": "unembed",
    }.items():
        assert part_of(name) == part


@pytest.mark.parametrize("recipe_name", ["article", "ladder"])
@pytest.mark.parametrize("stage_id", STAGES)
def test_every_parameter_has_a_part_and_one_optimizer(
    stage_id: str, recipe_name: str, small_stage: Build
) -> None:
    model = StageModel(small_stage(stage_id).config)
    recipe = recipe_for(recipe_name, stage_id)
    params = dict(model.named_parameters())
    assert {part_of(name) for name in params} <= PARTS
    owned = [
        (id(param), optimizer, group)
        for optimizer in build_optimizers(model, recipe)
        for group in optimizer.param_groups
        for param in group["params"]
    ]
    assert sorted(key for key, _, _ in owned) == sorted(id(param) for param in params.values())
    for name, param in params.items():
        _, optimizer, group = next(entry for entry in owned if entry[0] == id(param))
        part = part_of(name)
        by_muon = recipe_name == "ladder" and part in ("attn", "mlp") and ".W_" in name
        assert isinstance(optimizer, Muon) == by_muon, name
        rates = {"embed": recipe.lr_embed, "pos_embed": recipe.lr_embed}
        rates |= {"attn": recipe.lr, "mlp": recipe.lr}
        assert group["lr"] == rates.get(part, recipe.lr_unembed), name
        matrix = param.ndim >= 2 and part not in ("embed", "pos_embed")
        decays = recipe_name == "article" or matrix
        assert group["weight_decay"] == (recipe.weight_decay if decays else 0.0), name


def train_steps(model: StageModel, optimizers: list, n: int, start: int = 0) -> None:
    for step in range(start, start + n):
        generator = torch.Generator().manual_seed(step)
        tokens = torch.randint(model.cfg.d_vocab, (4, 8), generator=generator)
        model(tokens, return_type="loss").backward()
        set_lr(optimizers, 1 / (step + 1))
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()


@pytest.mark.parametrize("recipe_name", ["article", "ladder"])
@pytest.mark.parametrize("stage_id", ["02_bow_position", "10_moe", "10_moe_gated"])
def test_state_goes_out_and_in_without_a_trace(
    stage_id: str, recipe_name: str, small_stage: Build
) -> None:
    recipe = recipe_for(recipe_name, stage_id)
    straight, stopped, resumed = (StageModel(small_stage(stage_id).config) for _ in range(3))
    optimizers = build_optimizers(straight, recipe)
    train_steps(straight, optimizers, 6)
    early = build_optimizers(stopped, recipe)
    train_steps(stopped, early, 3)
    resumed.load_state_dict(stopped.state_dict())
    late = build_optimizers(resumed, recipe)
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(stopped, early).items()}
    restore_optimizers(resumed, late, saved)
    train_steps(resumed, late, 3, start=3)
    for name, tensor in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    again = optimizer_tensors(resumed, late)
    for name, tensor in optimizer_tensors(straight, optimizers).items():
        assert torch.equal(again[name], tensor), name


def test_gradient_norms_by_part(small_stage: Build) -> None:
    model = StageModel(small_stage("10_moe").config)
    tokens = torch.randint(model.cfg.d_vocab, (4, 8), generator=torch.Generator().manual_seed(0))
    model(tokens, return_type="loss").backward()
    norms = gradient_norms(model)
    assert set(norms) == PARTS - {"router"}
    assert norms["embed"] == pytest.approx(model.W_E.grad.norm().item())
    whole = torch.nn.utils.get_total_norm(
        [p.grad for p in model.parameters() if p.grad is not None]
    )
    assert sum(norm**2 for norm in norms.values()) == pytest.approx(whole.item() ** 2, rel=1e-5)
