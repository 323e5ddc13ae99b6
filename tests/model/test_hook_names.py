"""Hooks by name, list and predicate: what is not there or off is said, and nothing else changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformer_lens.tools.analysis.attribution_patching import (
    EdgeAttributionConfig,
    attribution_patch,
)

from lt_interp.errors import InputError
from lt_interp.model.hook_names import UnknownHookError
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]
MLP_IN = "blocks.0.hook_mlp_in"
WITH_STREAM = ["07_block", "08_two_blocks", "09_multi_head", "10_moe", "10_moe_gated"]


def keep(act: Tensor, hook: object) -> None:
    """A hook function that changes nothing."""


def functions_on(model: StageModel, name: str) -> int:
    return len(model.hook_dict[name].fwd_hooks)


@pytest.mark.parametrize("error", [KeyError, InputError])
def test_a_name_that_is_not_there_is_refused(
    error: type[Exception], small_model: Build, tokens: Tensor
) -> None:
    model = small_model("09_multi_head")
    message = r"^the hook blocks.0.attn.hook_kk does not exist; nearest: blocks.0.attn.hook_"
    with pytest.raises(error, match=message):
        model.add_hook("blocks.0.attn.hook_kk", keep)
    with pytest.raises(error, match=message):
        model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.attn.hook_kk", keep)])
    with pytest.raises(error, match="does not exist"):
        model.add_hook("blocks.0", keep)  # a module, but no hook


def test_names_to_cache_of_which_none_is_there_are_refused(
    small_model: Build, tokens: Tensor
) -> None:
    model = small_model("09_multi_head")
    for names in ("hook_nothing", ["hook_nothing", "hook_nowhere"]):
        with pytest.raises(UnknownHookError, match="matched no hook points"):
            model.run_with_cache(tokens, names_filter=names)
    assert list(model.run_with_cache(tokens, names_filter=["hook_embed", "no"])[1]) == [
        "hook_embed"
    ]
    assert len(model.run_with_cache(tokens, names_filter=lambda name: False)[1]) == 0


def test_a_predicate_passes_switched_off_hooks_by_with_a_warning(
    small_model: Build, tokens: Tensor
) -> None:
    model = small_model("06_ffn")
    with pytest.warns(UserWarning, match=r"1 gated-off.*hook_mlp_in.*set_use_hook_mlp_in\(True\)"):
        model.add_hook(lambda name: name.startswith("blocks.0.hook_mlp"), keep)
    assert functions_on(model, MLP_IN) == 0
    assert functions_on(model, "blocks.0.hook_mlp_out") == 1
    model.reset_hooks()
    with pytest.warns(UserWarning, match="gated-off"), model.hooks([(MLP_IN.__eq__, keep)]):
        assert functions_on(model, MLP_IN) == 0
    with pytest.warns(UserWarning, match="gated-off"):
        assert len(model.run_with_cache(tokens, names_filter=[MLP_IN])[1]) == 0
    with pytest.warns(UserWarning, match="gated-off"):
        cache = model.add_caching_hooks(names_filter=MLP_IN)
    assert functions_on(model, MLP_IN) == 0
    model(tokens)
    assert cache == {}


def test_nothing_is_said_when_no_hook_was_asked_for_or_all_are_on(
    small_model: Build, tokens: Tensor
) -> None:
    model = small_model("06_ffn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = model.add_caching_hooks()
        model(tokens)
        assert MLP_IN not in cache
        assert "blocks.0.hook_mlp_out" in cache
        model.reset_hooks()
        model.set_use_hook_mlp_in(True)
        model.add_hook(MLP_IN.__eq__, keep)
        assert list(model.run_with_cache(tokens, names_filter=[MLP_IN])[1]) == [MLP_IN]
    assert functions_on(model, MLP_IN) == 1


def test_a_hook_of_two_names_takes_a_function_once(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    model.set_use_split_qkv_input(True)
    seen: list[str] = []
    ends_so = [
        (lambda name: name.endswith("hook_q_input"), lambda act, hook: seen.append(hook.name))
    ]
    model.run_with_hooks(tokens, fwd_hooks=ends_so)
    assert seen == ["blocks.0.hook_q_input", "blocks.1.hook_q_input"]
    assert "blocks.0.attn.hook_q_input" not in model.run_with_cache(tokens)[1]


@pytest.mark.parametrize("stage_id", WITH_STREAM)
def test_edges_of_a_writer_add_up_to_its_node(stage_id: str, small_model: Build) -> None:
    """Every way from a writer to the logits leads over one of its edges, so the sums agree."""
    model = small_model(stage_id)
    clean, corrupt = model.to_tokens("the dog"), model.to_tokens("the cat")

    def metric(logits: Tensor) -> Tensor:
        return logits[0, -1, 5] - logits[0, -1, 6]

    by_edge = attribution_patch(
        model, clean, corrupt, metric, config=EdgeAttributionConfig(granularity="edge")
    )
    by_node = attribution_patch(model, clean, corrupt, metric)
    assert len(by_edge.edge_scores) > len(by_node.node_scores)
    assert max(map(abs, by_node.node_scores.values())) > 1e-3
    for node, score in by_node.node_scores.items():
        assert by_edge.node_scores[node] == pytest.approx(score, abs=1e-5)
    assert not model.cfg.use_attn_result


def test_edges_without_a_stream_are_an_error_and_not_a_number(small_model: Build) -> None:
    model = small_model("06_ffn")
    tokens = model.to_tokens("the dog")
    config = EdgeAttributionConfig(granularity="edge")
    with pytest.raises(ValueError, match="hook_q_input"):
        attribution_patch(model, tokens, tokens, lambda logits: logits.sum(), config=config)


def test_a_bfloat16_layernorm_sums_in_float32(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head").to(torch.bfloat16)
    logits, cache = model.run_with_cache(tokens)
    assert logits.dtype == cache["blocks.0.ln1.hook_normalized"].dtype == torch.bfloat16
    x = cache["blocks.0.hook_resid_pre"].double()
    expected = (x.var(dim=-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    assert cache["blocks.0.ln1.hook_scale"].dtype == torch.float32
    torch.testing.assert_close(
        cache["blocks.0.ln1.hook_scale"].double(), expected, rtol=1e-6, atol=0
    )
