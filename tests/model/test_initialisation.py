"""Random weights: their scale, their seed, and the signal they let through."""

from __future__ import annotations

import dataclasses
import math
from itertools import islice

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import build_character
from lt_interp.corpus.sources import open_corpus
from lt_interp.model.initialisation import (
    INITIALISATIONS,
    initialise_fan_in,
    initialise_pytorch_default,
    initialise_unit_length,
)
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES


def full_size(stage_id: str) -> StageModel:
    return StageModel(STAGES[stage_id].config)


def test_pytorch_default_is_what_torchs_own_layers_do() -> None:
    model = full_size("10_moe")
    initialise_pytorch_default(model, torch.Generator().manual_seed(0))
    assert abs(model.W_E.std().item() - 1) < 0.01
    assert abs(model.W_pos.std().item() - 1) < 0.02
    for weight, fan_in in (
        (model.W_Q, 128),
        (model.W_O, 128),
        (model.W_in, 128),
        (model.b_in, 128),
        (model.W_out, 512),
        (model.W_U, 128),
        (model.b_U, 128),
        (model.blocks[0].mlp.router.weight, 128),
    ):
        bound = fan_in**-0.5
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.95 * bound
        assert abs(weight.std().item() / (bound / math.sqrt(3)) - 1) < 0.1


@pytest.mark.parametrize("stage_id", ["04_attention", "06_ffn"])
def test_fan_in_keeps_a_chain_at_scale(stage_id: str) -> None:
    """Where PyTorch's default lets the signal shrink several times over."""
    tokens = torch.randint(4096, (4, 8), generator=torch.Generator().manual_seed(1))
    scales = []
    for initialise in (initialise_fan_in, initialise_pytorch_default):
        model = full_size(stage_id)
        initialise(model, torch.Generator().manual_seed(0))
        # position 0 attends to itself alone, so nothing is averaged away
        scales.append(model.hidden(tokens)[:, 0].std().item())
    assert 0.5 < scales[0] < 2
    assert scales[0] > 2.5 * scales[1]


def test_fan_in_starts_at_the_uniform_guess() -> None:
    model = full_size("09_multi_head")
    initialise_fan_in(model, torch.Generator().manual_seed(0))
    tokens = torch.randint(4096, (2, 8), generator=torch.Generator().manual_seed(1))
    assert model(tokens, return_type="loss").item() == pytest.approx(math.log(4096), abs=1e-4)


@pytest.mark.parametrize("stage_id", ["01_bag_of_words", "05_attn_position", "gpt_learned"])
def test_embeddings_of_unit_length(stage_id: str) -> None:
    model, same_maps = full_size(stage_id), full_size(stage_id)
    initialise_unit_length(model, torch.Generator().manual_seed(0))
    initialise_fan_in(same_maps, torch.Generator().manual_seed(0))
    assert model.W_E.norm(dim=1).mean().item() == pytest.approx(1, abs=0.01)
    before = dict(same_maps.named_parameters())
    for name, weight in model.named_parameters():
        assert "embed" in name or torch.equal(weight, before[name])


@pytest.mark.parametrize("initialise", [initialise_fan_in, initialise_pytorch_default])
def test_a_seed_fixes_the_weights(initialise: object) -> None:
    models = [full_size("10_moe_gated") for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        initialise(model, torch.Generator().manual_seed(seed))
    first, same, other = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embed.W_E"], other["embed.W_E"])
    assert not torch.equal(first["blocks.0.mlp.router.weight"], other["blocks.0.mlp.router.weight"])


def test_a_tied_model_begins_at_80_nats_with_embeddings_of_unit_size() -> None:
    """The character-level ablations' article sees that, and guessing with 0.02."""
    text = "\n".join(islice(open_corpus("embedded").stories(), 12))
    tokenizer = build_character([text], corpus_sha256="")
    model = StageModel(dataclasses.replace(STAGES["char_gpt"].config, d_vocab=tokenizer.d_vocab))
    tokens = torch.tensor(tokenizer.encode(text)[:2048]).reshape(4, 512)
    losses = {}
    for name in ("pytorch", "normal"):
        INITIALISATIONS[name](model, torch.Generator().manual_seed(0))
        with torch.no_grad():
            losses[name] = float(model(tokens, return_type="loss"))
    assert 75 < losses["pytorch"] < 100
    assert losses["normal"] == pytest.approx(math.log(tokenizer.d_vocab), abs=0.1)
