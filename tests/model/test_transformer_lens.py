"""TransformerLens's own tools on our models: right where they apply, an error where not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformer_lens import patching
from transformer_lens.head_detector import detect_head
from transformer_lens.model_protocol import (
    TransformerLensModel,
    TransformerLensModelWithWeights,
)
from transformer_lens.tools.analysis import direct_logit_attribution, logit_lens

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]
WITH_STREAM = [stage_id for stage_id, stage in STAGES.items() if stage.config.has_stream]
WITHOUT_STREAM = [stage_id for stage_id in STAGES if stage_id not in WITH_STREAM]
TEXT, OTHER_TEXT = "the dog ran", "the cat ran"


def constant_part(model: StageModel, token: int) -> Tensor:
    """What of a logit no component gives: the unembedding's bias and the final LayerNorm's."""
    return model.b_U[token] + model.ln_final.b @ model.W_U[:, token]


@pytest.mark.parametrize("stage_id", STAGES)
def test_protocols(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    assert isinstance(model, TransformerLensModel)
    # the larger one asks for attributes alone, of which stages lack no other than ln_final
    has_final_norm = model.config.final_norm is not None
    assert isinstance(model, TransformerLensModelWithWeights) == has_final_norm


@pytest.mark.parametrize("stage_id", WITH_STREAM)
def test_the_stream_is_the_sum_of_its_parts(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    cache = model.run_with_cache(tokens)[1]
    parts, labels = cache.decompose_resid(return_labels=True)
    n_layers = model.cfg.n_layers
    blocks = [f"{layer}_{part}" for layer in range(n_layers) for part in ("attn_out", "mlp_out")]
    embeds = ["embed", "pos_embed"] if model.config.embeds_positions else ["embed"]
    assert labels == [*embeds, *blocks]
    torch.testing.assert_close(parts.sum(dim=0), cache["resid_post", -1])
    sums, labels = cache.accumulated_resid(incl_mid=True, return_labels=True)
    assert labels[:2] == ["0_pre", "0_mid"]
    assert labels[-1] == "final_post"
    torch.testing.assert_close(sums[1], parts[: len(embeds) + 1].sum(dim=0))
    torch.testing.assert_close(sums[-1], cache["resid_post", -1])
    normed = cache.apply_ln_to_stack(sums[-1:], recompute_ln=True)
    ours = cache["ln_final.hook_normalized"] * model.ln_final.w + model.ln_final.b
    torch.testing.assert_close(normed[0], ours)


@pytest.mark.parametrize("stage_id", WITH_STREAM)
def test_heads_and_their_remainder_add_up(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    cache = model.run_with_cache(tokens)[1]
    heads, labels = cache.stack_head_results(incl_remainder=True, return_labels=True)
    assert labels == [*model.all_head_labels(), "remainder"]
    torch.testing.assert_close(heads.sum(dim=0), cache["resid_post", -1])
    n_heads = model.cfg.n_heads
    torch.testing.assert_close(heads[:n_heads].sum(dim=0), cache["attn_out", 0])


@pytest.mark.parametrize("stage_id", WITH_STREAM)
def test_logit_attributions_add_up_to_the_logits(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    """The weights of ln_final are not 1 here, so a direction that forgets them would be off."""
    model = small_model(stage_id)
    logits, cache = model.run_with_cache(tokens)
    for token in (5, 11):
        attributions = cache.logit_attrs(cache.decompose_resid(), tokens=token)
        total = attributions.sum(dim=0) + constant_part(model, token)
        torch.testing.assert_close(total, logits[:, :, token], atol=1e-4, rtol=1e-4)
    targets = (tokens + 1) % model.cfg.d_vocab
    attributions = cache.logit_attrs(
        cache.decompose_resid(), tokens=targets, incorrect_tokens=tokens
    )
    constant = torch.stack([constant_part(model, t) for t in range(model.cfg.d_vocab)])
    logits = logits - constant
    difference = (
        logits.gather(2, targets[:, :, None]) - logits.gather(2, tokens[:, :, None])
    ).squeeze(2)
    torch.testing.assert_close(attributions.sum(dim=0), difference, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("unit", ["component", "layer", "head"])
@pytest.mark.parametrize("stage_id", ["08_two_blocks", "09_multi_head", "10_moe"])
def test_direct_logit_attribution(stage_id: str, unit: str, small_model: Build) -> None:
    model = small_model(stage_id)
    token = model.to_single_token("e")
    result = direct_logit_attribution(model, TEXT, answer_tokens="e", unit=unit)
    values = result.attribution[:, 0]
    whole = values[-1] if unit == "layer" else values.sum()
    logit = model(TEXT)[0, -1, token]
    torch.testing.assert_close(whole + constant_part(model, token), logit, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stage_id", ["07_block", "08_two_blocks", "09_multi_head", "10_moe"])
def test_the_logit_lens_ends_at_the_logits(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    logits, cache = model.run_with_cache(TEXT)
    result = logit_lens(model, TEXT, positions=None)
    torch.testing.assert_close(result.values[-1], logits)
    first = model.unembed(model.ln_final(cache["resid_pre", 0]))
    torch.testing.assert_close(result.values[0], first)
    torch.testing.assert_close(cache.logit_lens(positions=None).values, result.values)


@pytest.mark.parametrize("unit", ["component", "layer", "head"])
@pytest.mark.parametrize("stage_id", WITHOUT_STREAM)
def test_attribution_without_a_stream_is_an_error_and_not_a_number(
    stage_id: str, unit: str, small_model: Build
) -> None:
    with pytest.raises((InputError, KeyError)):
        direct_logit_attribution(small_model(stage_id), TEXT, answer_tokens="e", unit=unit)


@pytest.mark.parametrize("stage_id", WITHOUT_STREAM)
def test_decomposition_without_a_stream_is_an_error_and_not_a_number(
    stage_id: str, small_model: Build
) -> None:
    model = small_model(stage_id)
    cache = model.run_with_cache(TEXT)[1]
    with pytest.raises(InputError, match="no residual stream"):
        cache.decompose_resid()
    with pytest.raises(InputError, match="no residual stream"):
        cache.logit_attrs(cache["hook_embed"][None], tokens="e")
    with pytest.raises(InputError, match="no residual stream"):
        cache.accumulated_resid()
    with pytest.raises((ValueError, KeyError)):
        logit_lens(model, TEXT)


@pytest.mark.parametrize("stage_id", ["07_block", "09_multi_head", "10_moe"])
def test_patching_the_first_stream_restores_the_clean_run(
    stage_id: str, small_model: Build
) -> None:
    """The texts differ at position 5 alone: patching it is as good as the clean text."""
    model = small_model(stage_id)
    clean, corrupted = model.to_tokens("the dog ran"), model.to_tokens("the dig ran")
    assert (clean != corrupted).nonzero()[:, 1].tolist() == [5]
    clean_logits, clean_cache = model.run_with_cache(clean)
    corrupted_logits = model(corrupted)

    def metric(logits: Tensor) -> Tensor:
        return logits[0, -1, 5] - logits[0, -1, 6]

    with torch.no_grad():
        results = patching.get_act_patch_resid_pre(model, corrupted, clean_cache, metric)
    assert results.shape == (model.cfg.n_layers, 11)
    torch.testing.assert_close(results[0, 5], metric(clean_logits))
    others = [pos for pos in range(11) if pos != 5]
    unchanged = metric(corrupted_logits).expand(10)
    torch.testing.assert_close(results[0, others], unchanged)
    # nothing left of the difference has changed in any layer
    torch.testing.assert_close(
        results[:, :5], metric(corrupted_logits).expand(results[:, :5].shape)
    )


@pytest.mark.parametrize("stage_id", ["09_multi_head", "10_moe_gated"])
@torch.no_grad()
def test_patching_runs_over_parts_and_heads(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    clean, corrupted = model.to_tokens(TEXT), model.to_tokens(OTHER_TEXT)
    clean_cache = model.run_with_cache(clean)[1]

    def metric(logits: Tensor) -> Tensor:
        return logits[0, -1, 5] - logits[0, -1, 6]

    def by_hand(name: str, *index: object) -> Tensor:
        def patch(act: Tensor, hook: object) -> Tensor:
            act[index] = clean_cache[name][index]
            return act

        return metric(model.run_with_hooks(corrupted, fwd_hooks=[(name, patch)]))

    every = slice(None)
    for sweep, name in (
        (patching.get_act_patch_attn_out, "blocks.1.hook_attn_out"),
        (patching.get_act_patch_mlp_out, "blocks.1.hook_mlp_out"),
        (patching.get_act_patch_resid_mid, "blocks.1.hook_resid_mid"),
    ):
        results = sweep(model, corrupted, clean_cache, metric)
        assert results.shape == (2, 11)
        torch.testing.assert_close(results[1, 10], by_hand(name, every, 10))
    for sweep, name, index in (
        (patching.get_act_patch_attn_head_out_all_pos, "z", (every, every, 1)),
        (patching.get_act_patch_attn_head_q_all_pos, "q", (every, every, 1)),
        (patching.get_act_patch_attn_head_v_all_pos, "v", (every, every, 1)),
        (patching.get_act_patch_attn_head_pattern_all_pos, "pattern", (every, 1)),
    ):
        results = sweep(model, corrupted, clean_cache, metric)
        assert results.shape == (2, 2)
        torch.testing.assert_close(results[1, 1], by_hand(f"blocks.1.attn.hook_{name}", *index))


@torch.no_grad()
def test_direct_path_patching_changes_one_heads_queries(small_model: Build) -> None:
    model = small_model("09_multi_head")
    clean, corrupted = model.to_tokens(TEXT), model.to_tokens(OTHER_TEXT)
    clean_cache = model.run_with_cache(clean)[1]
    corrupted_cache = model.run_with_cache(corrupted)[1]

    def metric(logits: Tensor) -> Tensor:
        return logits[0, -1, 5] - logits[0, -1, 6]

    results = patching.get_act_patch_direct_path(
        model, corrupted, clean_cache, corrupted_cache, metric, src_layer=0, src_head=1
    )
    write = (clean_cache["z", 0] - corrupted_cache["z", 0])[:, :, 1] @ model.W_O[0, 1]
    block = model.blocks[1]
    query = block.ln1(corrupted_cache["resid_pre", 1] + write) @ model.W_Q[1, 0]

    def patch(act: Tensor, hook: object) -> Tensor:
        act[:, :, 0] = query
        return act

    expected = metric(model.run_with_hooks(corrupted, fwd_hooks=[("blocks.1.attn.hook_q", patch)]))
    torch.testing.assert_close(results[1, 0], expected)
    assert not model.cfg.use_split_qkv_input


def test_a_stage_without_a_stream_has_no_paths_to_patch(small_model: Build) -> None:
    assert "blocks.0.attn.hook_q_input" in small_model("07_block").mod_dict
    assert "blocks.0.attn.hook_q_input" not in small_model("06_ffn").mod_dict


def test_detect_head(small_model: Build) -> None:
    model = small_model("09_multi_head")
    text = "the dog the dog"
    cache = model.run_with_cache(text)[1]
    pattern = torch.cat([cache["pattern", 0], cache["pattern", 1]]).reshape(2, 2, 15, 15)
    scores = detect_head(model, text, "previous_token_head")
    expected = pattern.diagonal(offset=-1, dim1=-2, dim2=-1).sum(dim=-1) / 15
    torch.testing.assert_close(scores, expected)
    scores = detect_head(model, text, "duplicate_token_head")
    letters = model.to_tokens(text)[0]
    same = (letters[:, None] == letters[None, :]).float().tril(-1)
    torch.testing.assert_close(scores, (pattern * same).sum(dim=(-2, -1)) / 15)


def test_a_head_planted_to_look_back_is_detected(small_model: Build) -> None:
    model = small_model("05_attn_position")
    with torch.no_grad():
        # positions are one-hot in the first axes, tokens nothing: query t asks for key t-1
        model.W_E.zero_()
        model.W_pos.zero_()
        model.W_pos[:16] = torch.eye(16)
        model.blocks[0].attn.W_Q[0] = 100 * torch.eye(16).roll(-1, dims=1)
        model.blocks[0].attn.W_K[0] = torch.eye(16)
    score = detect_head(model, "the dog ran", "previous_token_head")
    torch.testing.assert_close(score, torch.tensor([[10 / 11]]))
