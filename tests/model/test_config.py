"""What a model is built from: refusals, and the way to JSON and back."""

from __future__ import annotations

import json

import pytest

from lt_interp.errors import InputError
from lt_interp.model.config import Experts, ModelConfig
from lt_interp.stages import STAGES


@pytest.mark.parametrize("stage_id", STAGES)
def test_to_json_and_back(stage_id: str) -> None:
    config = STAGES[stage_id].config
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_model": 0}, "d_model must be 1 or more"),
        ({"n_heads": 3}, "n_heads 3 does not divide d_model 128: heads share it in equal parts"),
        ({"n_heads": 128, "positions": "rotary"}, "pairs of coordinates; d_head 1 is odd"),
        ({"n_heads": 1, "positions": "learned+alibi"}, "'learned.alibi'; a model has one kind"),
        ({"n_heads": -1}, "must be 0"),
        ({"experts": Experts(count=2, gated=True)}, "give d_mlp their width"),
        ({"average": True, "n_heads": 1}, "stand in place of blocks"),
        ({"window": 2, "d_mlp": 8}, "stand in place of blocks"),
        ({"eos_id": 4096}, "eos_id 4096"),
    ],
)
def test_what_cannot_be_built_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**fields)


def test_a_context_longer_than_trained_needs_positions_that_are_not_learned() -> None:
    gpt = STAGES["gpt_learned"].config
    with pytest.raises(InputError, match="learned up to 512 tokens, and there is no vector for"):
        gpt.lengthened(513)
    assert gpt.lengthened(100) == gpt.lengthened(512) == gpt
    for other in ("gpt_alibi", "gpt_rope", "char_no_positions"):
        assert STAGES[other].config.lengthened(1024).n_ctx == 1024


def test_a_mixture_needs_two_experts() -> None:
    with pytest.raises(InputError, match="2 experts or more, not 1"):
        Experts(count=1, gated=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"positions": "learned, alibi"},
            "a model has one kind of them; allowed: None, 'learn",
        ),
        ({"experts": {"count": 1, "gated": True}, "d_mlp": 8}, "2 experts or more, not 1"),
        ({"d_models": 4}, "unknown fields d_models"),
        ({"d_model": "128"}, "d_model must be of type int"),
        ({"d_model": True}, "d_model must be of type int"),
        ({"positions": "sinusoidal"}, "positions is 'sinusoidal'"),
        ({"wiring": {"residual": True, "norm": "batch"}}, "norm is 'batch'"),
        ({"wiring": 3}, "wiring must be an object"),
        ([], "must be an object"),
    ],
)
def test_a_damaged_description_is_named(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig.from_dict(values)
