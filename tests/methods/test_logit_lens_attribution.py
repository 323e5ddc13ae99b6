"""Shares add up where there is a sum, agree with TransformerLens, and are refused elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from lt_interp.methods.logit_lens.attribution import TOLERANCE, attribute, components
from lt_interp.methods.logit_lens.attribution_tables import attribution_rows
from lt_interp.methods.logit_lens.corpus import Sample

from .lens_stages import D_VOCAB, random_model, tokens_of

STREAMS = ["07_block", "08_two_blocks", "09_multi_head", "10_moe", "10_moe_gated"]
CHAINS = ["01_bag_of_words", "02_bow_position", "04_attention", "05_attn_position", "06_ffn"]


@pytest.fixture
def tokens() -> Tensor:
    return tokens_of()


def sample_of(tokens: Tensor) -> Sample:
    ids = tokens.numpy()
    story = np.repeat(np.arange(len(ids))[:, None], ids.shape[1] - 1, axis=1)
    return Sample(tokens=ids, story=story, shuffled=ids[::-1, 1:].copy())


@pytest.mark.parametrize("stage", [*STREAMS, "03_bigram"])
def test_shares_add_up_to_the_logit_above_the_mean(stage: str, tokens: Tensor) -> None:
    model, targets = random_model(stage), tokens.roll(-1, dims=1)
    found = attribute(model, tokens, targets)
    logits = model(tokens)
    whole = logits.gather(2, targets[..., None])[..., 0] - logits.mean(dim=-1)
    assert torch.allclose(found.shares.sum(dim=0), whole.flatten(), atol=1e-4)
    assert torch.allclose(found.logit, whole.flatten(), atol=1e-5)
    assert max(found.residual_error, found.logit_error) < 1


@pytest.mark.parametrize("stage", ["07_block", "09_multi_head", "10_moe"])
def test_shares_are_transformer_lens_s_less_their_mean_over_the_vocabulary(
    stage: str, tokens: Tensor
) -> None:
    """TransformerLens leaves both biases out and subtracts no mean."""
    model = random_model(stage)
    model.set_use_attn_result(True)
    _, cache = model.run_with_cache(tokens)
    stack, labels = cache.get_full_resid_decomposition(
        expand_neurons=False, apply_ln=False, return_labels=True
    )
    every = torch.stack([cache.logit_attrs(stack, torch.full_like(tokens, token))
                         for token in range(D_VOCAB)])  # fmt: skip
    targets = tokens.roll(-1, dims=1)
    theirs = every.gather(0, targets.expand(1, len(stack), -1, -1))[0] - every.mean(dim=0)
    ours = attribute(model, tokens, targets).shares
    parts = [component.name for component in components(model.config)]
    for number, name in enumerate(parts[:-2]):
        assert torch.allclose(ours[number], theirs[labels.index(name)].flatten(), atol=1e-4)
    logits = model(tokens)
    constants = model.b_U + model.ln_final.b @ model.W_U
    total = every.sum(dim=1).permute(1, 2, 0)
    assert torch.allclose(total, logits - constants, atol=1e-4)


@pytest.mark.parametrize("stage", CHAINS)
def test_a_chain_is_refused_with_the_reason(stage: str, tokens: Tensor) -> None:
    model = random_model(stage)
    found = attribution_rows(model, sample_of(tokens), {}, seed=0, report=lambda n: None)
    (row,) = found["attribution_applies"]
    assert not row["attribution_applies"]
    assert row["residual_error"] > 100 * TOLERANCE
    assert "does not add up" in row["reason"]
    assert found["attribution"] == found["attribution_prompts"] == []


def test_a_stream_that_a_hook_breaks_is_refused(tokens: Tensor) -> None:
    """The check is a sum of numbers, not a list of stages."""
    model = random_model("09_multi_head")
    model.mod_dict["blocks.1.hook_resid_mid"].add_perma_hook(lambda value, hook: 1.01 * value)
    found = attribution_rows(model, sample_of(tokens), {}, seed=0, report=lambda n: None)
    assert not found["attribution_applies"][0]["attribution_applies"]


def test_prompts_are_split_up_to_their_last_but_one_token(tokens: Tensor) -> None:
    model = random_model("07_block")
    with pytest.raises(ValueError, match="no tokenizer"):  # labels need one
        attribution_rows(model, sample_of(tokens), {"p": tokens[:1]}, seed=0, report=lambda n: None)
    single = attribution_rows(
        model, sample_of(tokens), {"p": tokens[:1, :1]}, seed=0, report=lambda n: None
    )
    assert single["attribution_prompts"] == []


@pytest.mark.slow
def test_tokens_that_follow_nothing_are_favoured_at_the_nominal_rate() -> None:
    """Next tokens drawn without regard to what stands before: no part can know them."""
    model, rng, p = random_model("07_block"), np.random.default_rng(0), []
    often = np.arange(1, D_VOCAB + 1)
    for seed in range(300):
        tokens = rng.choice(D_VOCAB, size=(25, 12), p=often / often.sum())
        story = np.cumsum(rng.random((25, 11)).ravel() < 0.1).reshape(25, 11)
        shuffled = rng.permutation(tokens[:, 1:].ravel()).reshape(25, 11)
        sample = Sample(tokens=tokens, story=story, shuffled=shuffled)
        found = attribution_rows(model, sample, {}, seed=seed, report=lambda n: None)
        p.append([row["p"] for row in found["attribution"] if row["p"] is not None])
    for of_part in np.array(p).T:
        for level in (0.05, 0.2):
            false = int((of_part <= level).sum())
            assert stats.binomtest(false, len(p), level, "greater").pvalue > 0.001
