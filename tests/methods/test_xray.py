"""An X-ray against the cache, the article's own way of drawing, and a prompt followed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.errors import InputError
from lt_interp.methods.result import Result
from lt_interp.methods.xray import NUMBERS, xray
from lt_interp.model.hook_table import hook_table
from lt_interp.model.initialisation import initialise_fan_in
from lt_interp.model.stage_model import StageModel
from lt_interp.report.xray import xray_page
from lt_interp.stages import STAGES, get_stage

PROMPT = "The cat sat"


def model_of(stage_id: str) -> StageModel:
    """A stage over bytes, its sharp predictions those of random weights at twice their scale."""
    config = dataclasses.replace(get_stage(stage_id).config, d_vocab=256, eos_id=0)
    model = StageModel(config, tokenizer=ByteTokenizer(), name=stage_id)
    initialise_fan_in(model, torch.Generator().manual_seed(3))
    with torch.no_grad():
        model.embed.W_E.mul_(2)
    return model


@pytest.fixture(scope="module")
def byte_gpt() -> StageModel:
    return model_of("byte_gpt")


@pytest.fixture(scope="module")
def found(byte_gpt: StageModel) -> Result:
    return xray(byte_gpt, PROMPT, pos=4, seed=2)


@pytest.mark.parametrize("stage_id", STAGES)
def test_every_stage_is_followed_from_text_to_text(stage_id: str) -> None:
    config = dataclasses.replace(get_stage(stage_id).config, d_vocab=256, eos_id=0, d_model=16)
    model = StageModel(config, tokenizer=ByteTokenizer(), name=stage_id)
    result = xray(model, PROMPT)
    steps = result.rows("steps")
    assert [steps[0]["step"], steps[-2]["step"], steps[-1]["step"]] == [
        "tokenise", "softmax", "decode",
    ]  # fmt: skip
    hooks = [step["hook"] for step in steps[1:-2]]
    assert hooks == [hook.name for hook in hook_table(config) if hook.opt_in is None]
    assert {step["layer"] for step in steps} - {None} == set(range(config.depth))
    n_reads = config.depth * config.n_heads * 3
    assert len(result.tables["reads"]) == n_reads
    assert ("## What each head reads" in xray_page(result)) == bool(n_reads)


def test_numbers_are_those_of_the_cache_at_the_position(
    byte_gpt: StageModel, found: Result
) -> None:
    _, cache = byte_gpt.run_with_cache(PROMPT, remove_batch_dim=True)
    steps = {step["hook"]: step for step in found.rows("steps")}
    q = cache["blocks.2.attn.hook_q"]
    assert steps["blocks.2.attn.hook_q"]["shape"] == "11 × 4 × 16"
    assert steps["blocks.2.attn.hook_q"]["axes"] == "pos head d_head"
    assert steps["blocks.2.attn.hook_q"]["norm"] == pytest.approx(float(q[4].norm()), rel=1e-6)
    assert [steps["blocks.2.attn.hook_q"][n] for n in NUMBERS] == q[4, 0, :4].tolist()
    pattern = cache["blocks.0.attn.hook_pattern"]
    row = steps["blocks.0.attn.hook_pattern"]
    assert row["norm"] == pytest.approx(float(pattern[:, 4, :5].norm()), rel=1e-6)
    assert [row[n] for n in NUMBERS] == pattern[0, 4, :4].tolist()
    assert np.isfinite(steps["blocks.0.attn.hook_attn_scores"]["norm"])


def test_an_rms_norm_leaves_the_norm_of_its_width(found: Result) -> None:
    norms = [s["norm"] for s in found.rows("steps") if (s["hook"] or "").endswith("_normalized")]
    assert len(norms) == 2 * 4 + 1
    assert norms == pytest.approx([64**0.5] * 9, rel=1e-3)


def test_the_most_read_positions_lead_and_lie_before(byte_gpt: StageModel, found: Result) -> None:
    _, cache = byte_gpt.run_with_cache(PROMPT, remove_batch_dim=True)
    for read in found.rows("reads"):
        weights = cache["pattern", read["layer"]][read["head"], 4]
        assert read["key_pos"] <= 4
        assert read["token"] == PROMPT[read["key_pos"]]
        assert read["weight"] == float(weights[read["key_pos"]])
        if read["rank"] == 1:
            assert read["weight"] == float(weights.max())


def articles_nucleus(logits: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """As the NumPy GPT's article draws: the fewest likeliest tokens that reach top_p."""
    scaled = np.exp((logits - logits.max()) / temperature)
    probabilities = scaled / scaled.sum()
    order = np.argsort(probabilities)[::-1]
    kept = order[: np.searchsorted(np.cumsum(probabilities[order]), top_p) + 1]
    drawn = np.zeros_like(probabilities)
    drawn[kept] = probabilities[kept] / probabilities[kept].sum()
    return drawn


def test_the_next_token_is_drawn_as_the_article_draws(byte_gpt: StageModel, found: Result) -> None:
    with torch.no_grad():
        logits = byte_gpt(PROMPT)[0, 4].double().numpy()
    wanted = articles_nucleus(logits, temperature=0.8, top_p=0.9)
    likeliest = found.rows("next")
    assert found.meta["n_kept"] == (wanted > 0).sum() > 1
    assert [row["drawn_with"] for row in likeliest] == pytest.approx(
        [wanted[row["id"]] for row in likeliest], rel=1e-4
    )
    assert wanted[found.meta["next_id"]] > 0
    assert found.rows("steps")[-1]["number_1"] == found.meta["next_id"]
    ids = byte_gpt.to_tokens(PROMPT)[:, :5]
    generated = byte_gpt.generate(ids, 1, temperature=0.8, top_p=0.9, seed=2)
    assert int(generated[0, -1]) == found.meta["next_id"]


def test_temperature_zero_draws_the_likeliest(byte_gpt: StageModel) -> None:
    result = xray(byte_gpt, PROMPT, temperature=0)
    assert result.meta["n_kept"] == 1
    assert result.meta["next_id"] == result.rows("next")[0]["id"]


def test_a_negative_position_counts_from_the_end(byte_gpt: StageModel) -> None:
    assert xray(byte_gpt, PROMPT, pos=-7).meta["pos"] == 4
    for wrong in (11, -12):
        with pytest.raises(InputError, match="choose 0 to 10"):
            xray(byte_gpt, PROMPT, pos=wrong)


def test_what_cannot_be_followed_or_drawn(byte_gpt: StageModel) -> None:
    with pytest.raises(InputError, match="top_p must be at least"):
        xray(byte_gpt, PROMPT, top_p=0)
    with pytest.raises(InputError, match="has no tokenizer"):
        xray(StageModel(byte_gpt.config, name="bare"), PROMPT)


def test_the_page_has_every_step_and_marks_the_position(found: Result) -> None:
    page = xray_page(found)
    for step in found.rows("steps"):
        assert f"| {step['step']} |" in page
        assert (step["hook"] or "") in page
    assert "| **4** | 99 | <code>c</code> |" in page
    assert "At temperature 0.8 and top-p 0.9" in page
