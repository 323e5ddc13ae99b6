"""The table of hooks against reality: every hook is in it, fires as it says, and matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lt_interp.model.hook_table import hook_table
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

from .hook_shapes import shape_of

Build = Callable[..., StageModel]
FLAGS = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in")


def switch_on(model: StageModel) -> None:
    """All opt-in hooks that the stage has."""
    for flag in {hook.opt_in for hook in hook_table(model.config)} - {None}:
        getattr(model, f"set_{flag}")(True)


@pytest.mark.parametrize("stage_id", STAGES)
def test_the_table_lists_exactly_the_hooks_there_are(stage_id: str) -> None:
    with torch.device("meta"):
        model = StageModel(STAGES[stage_id].config)
    names = [hook.name for hook in hook_table(model.config)]
    assert len(names) == len(set(names))
    # forks of attention's input have a second name each
    assert set(names) == {point.name for point in model.hook_dict.values()}


@pytest.mark.parametrize("stage_id", STAGES)
def test_hooks_fire_with_the_listed_shape(
    stage_id: str, small_model: Build, tokens: torch.Tensor
) -> None:
    model = small_model(stage_id)
    table = {hook.name: hook for hook in hook_table(model.config)}
    plain = model.run_with_cache(tokens)[1]
    assert list(plain) == [name for name, hook in table.items() if hook.opt_in is None]
    switch_on(model)
    forked = model.run_with_cache(tokens)[1]
    assert set(forked) == set(table)
    for name, hook in table.items():
        cache = forked if hook.opt_in else plain
        assert cache[name].shape == shape_of(hook, model.config, batch=3, pos=10), name


@pytest.mark.parametrize("stage_id", STAGES)
def test_zeroing_any_hook_changes_the_logits(
    stage_id: str, small_model: Build, tokens: torch.Tensor
) -> None:
    model = small_model(stage_id)
    switch_on(model)
    logits, cache = model.run_with_cache(tokens)
    for name in cache:
        if name.endswith("hook_expert_indices"):
            assert cache[name].unique().tolist() == [0, 1]
    for hook in hook_table(model.config):
        zeroed = model.run_with_hooks(
            tokens, fwd_hooks=[(hook.name, lambda act, hook: torch.zeros_like(act))]
        )
        assert not torch.equal(zeroed, logits), hook.name


@pytest.mark.parametrize("stage_id", ["07_block", "10_moe_gated"])
def test_doubling_a_scale_changes_the_logits(
    stage_id: str, small_model: Build, tokens: torch.Tensor
) -> None:
    """Zero divides by zero there, which would show nothing about the numbers."""
    model = small_model(stage_id)
    logits = model(tokens)
    scales = [name for name in model.hook_dict if name.endswith("hook_scale")]
    assert len(scales) == 2 * model.config.n_layers + 1
    for name in scales:
        doubled = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda act, hook: 2 * act)])
        assert doubled.isfinite().all()
        assert (doubled - logits).abs().max() > 1e-4


def test_a_hook_that_is_switched_off_is_refused_by_name(
    small_model: Build, tokens: torch.Tensor
) -> None:
    model = small_model("09_multi_head")
    for hook in hook_table(model.config):
        if hook.opt_in:
            with pytest.raises(ValueError, match=f"set_{hook.opt_in}"):
                model.run_with_hooks(tokens, fwd_hooks=[(hook.name, lambda act, hook: None)])
            with pytest.raises(ValueError, match=f"set_{hook.opt_in}"):
                model.add_hook(hook.name, lambda act, hook: None)
    with pytest.raises(ValueError, match="set_use_split_qkv_input"):
        model.run_with_hooks(
            tokens, fwd_hooks=[("blocks.1.attn.hook_q_input", lambda act, hook: None)]
        )


@pytest.mark.parametrize("flag", FLAGS)
def test_a_stage_without_the_part_refuses_the_flag(flag: str, small_model: Build) -> None:
    model = small_model("03_bigram")
    with pytest.raises(ValueError, match=f"03_bigram has no .*{flag}"):
        getattr(model, f"set_{flag}")(True)
    getattr(model, f"set_{flag}")(False)  # as TransformerLens does when it cleans up
