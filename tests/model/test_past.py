"""Reading on from kept keys and values is reading the whole again."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.model.config import PRE_NORM_RESIDUAL, Experts, ModelConfig, Wiring
from lt_interp.model.parts.past import Past
from lt_interp.model.stage_model import StageModel

SMALL = ModelConfig(
    d_vocab=40, n_ctx=16, d_model=24, n_layers=2, n_heads=3, d_mlp=40, positions="learned",
    wiring=PRE_NORM_RESIDUAL,
)  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "a block": {},
    "a chain": {"wiring": Wiring(), "n_layers": 1},
    "no positions": {"positions": None},
    "RoPE": {"positions": "rotary"},
    "ALiBi": {"positions": "alibi"},
    "experts": {"experts": Experts(count=2, gated=True)},
    "post-norm": {"wiring": Wiring(residual=True, norm="LN", norm_after=True)},
}


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, 40, (3, 14), generator=torch.Generator().manual_seed(0))


def model_of(**change: Any) -> StageModel:
    return StageModel(dataclasses.replace(SMALL, **change), seed=1)


@pytest.mark.parametrize("room", [0, 6, 14])
@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("cuts", [[5], [1, 2, 9], list(range(1, 14))])
def test_pieces_give_what_the_whole_gives(
    change: dict[str, Any], cuts: list[int], room: int, tokens: Tensor
) -> None:
    model = model_of(**change)
    past = Past(model.config.depth, room=room)
    pieces = torch.tensor_split(tokens, cuts, dim=1)
    with torch.no_grad():
        hidden = torch.cat([model.hidden(piece, past=past) for piece in pieces], dim=1)
        torch.testing.assert_close(hidden, model.hidden(tokens), atol=1e-5, rtol=1e-5)
    assert past.first(0) == 14


@pytest.mark.parametrize("room", [0, 14])
def test_copies_go_on_without_touching_each_other(room: int, tokens: Tensor) -> None:
    model, past = model_of(), Past(2, room=room)
    other = tokens.flip(1)
    with torch.no_grad():
        model.hidden(tokens[:, :8], past=past)
        copy = past.copy()
        model.hidden(tokens[:, 8:10], past=past)
        turned = model.hidden(other[:, 8:], past=copy)
        straight = model.hidden(tokens[:, 10:], past=past)
    for rest, text in ((turned, other[:, 8:]), (straight, tokens[:, 8:])):
        whole = model.hidden(torch.cat([tokens[:, :8], text], dim=1))
        torch.testing.assert_close(rest, whole[:, -rest.shape[1] :], atol=1e-5, rtol=1e-5)


def test_another_number_of_rows_is_refused(tokens: Tensor) -> None:
    model, past = model_of(), Past(2, room=14)
    model.hidden(tokens[:, :5], past=past)
    with pytest.raises(ValueError, match=r"1 rows of torch.float32 after 3"):
        model.hidden(tokens[:1, 5:], past=past)


def test_hooks_of_a_piece_carry_its_positions_alone(tokens: Tensor) -> None:
    model, past = model_of(), Past(2)
    seen: dict[str, torch.Size] = {}

    def note(activation: Tensor, hook: Any) -> None:
        seen[hook.name] = activation.shape

    model.hidden(tokens[:, :10], past=past)
    with model.hooks([("blocks.1.hook_attn_out", note), ("blocks.1.attn.hook_pattern", note)]):
        model.hidden(tokens[:, 10:], past=past)
    assert seen["blocks.1.hook_attn_out"] == (3, 4, 24)
    assert seen["blocks.1.attn.hook_pattern"] == (3, 3, 4, 14)


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generation_is_the_same_with_and_without(
    change: dict[str, Any], temperature: float, tokens: Tensor
) -> None:
    model = model_of(**change)
    texts = [
        # past the context of 16, where positions begin to move
        model.generate(
            tokens[:, :4], 20, temperature=temperature, stop_at_eos=False, use_past_kv_cache=use
        )
        for use in (True, False)
    ]
    assert torch.equal(*texts)
    assert texts[0].shape == (3, 24)


def test_generation_with_hooks_reads_everything_each_time(tokens: Tensor) -> None:
    """A hook on the first position works for every token, as it would without a cache."""
    model = model_of()

    def write(embedding: Tensor, hook: Any) -> Tensor:
        embedding[:, 0] = 5.0
        return embedding

    with model.hooks([("hook_embed", write)]):
        cached = model.generate(tokens[:, :4], 8, temperature=0.0)
        plain = model.generate(tokens[:, :4], 8, temperature=0.0, use_past_kv_cache=False)
    assert torch.equal(cached, plain)
    assert not torch.equal(cached, model.generate(tokens[:, :4], 8, temperature=0.0))


def test_a_stage_without_attention_keeps_nothing(tokens: Tensor) -> None:
    model = model_of(n_heads=0)
    with pytest.raises(InputError, match="no keys and values"):
        model.hidden(tokens, past=Past(2))
    bag = StageModel(ModelConfig(d_vocab=40, n_ctx=16, d_model=24, average=True), seed=0)
    assert bag.generate(tokens[:, :4], 5, temperature=0.0).shape == (3, 9)
