"""A part of the blocks: up to one, from one on, and both halves together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]


@pytest.mark.parametrize("stage_id", STAGES)
def test_to_a_layer_and_on_from_it_is_the_whole_way(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    logits, loss = model(tokens, return_type="both")
    for layer in range(-model.cfg.n_layers, model.cfg.n_layers + 1):
        reached = model(tokens, stop_at_layer=layer)
        assert torch.equal(model(reached, start_at_layer=layer), logits)
        assert torch.equal(model(reached, "loss", start_at_layer=layer, tokens=tokens), loss)


def test_a_layer_reads_what_the_cache_says(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    cache = model.run_with_cache(tokens)[1]
    reads = [cache["resid_pre", 0], cache["resid_pre", 1], cache["resid_post", 1]]
    for layer, expected in enumerate(reads):
        assert torch.equal(model(tokens, stop_at_layer=layer), expected)
    assert torch.equal(model(tokens, stop_at_layer=-1), reads[1])
    assert torch.equal(model(reads[0], start_at_layer=0, stop_at_layer=1), reads[1])


def test_only_the_layers_that_run_are_cached(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    whole = model.run_with_cache(tokens)[1]
    reached, below = model.run_with_cache(tokens, stop_at_layer=1)
    _, above = model.run_with_cache(reached, start_at_layer=1)
    assert {*below} | {*above} == {*whole}
    assert not {*below} & {*above}
    for name, activation in [*below.items(), *above.items()]:
        assert torch.equal(activation, whole[name])


def test_what_is_no_layer_is_refused(small_model: Build, tokens: Tensor) -> None:
    model = small_model("08_two_blocks")
    for option in ("start_at_layer", "stop_at_layer"):
        for layer in (3, -3):
            with pytest.raises(InputError, match=f"layer {layer} is not among -2..2"):
                model(tokens, **{option: layer})


@pytest.mark.parametrize("shape", [(3, 10), (3, 10, 15), (3, 25, 16), (3, 0, 16)])
def test_what_no_block_reads_is_refused(shape: tuple[int, ...], small_model: Build) -> None:
    with pytest.raises(InputError, match="1 to 24 positions of 16 numbers"):
        small_model("08_two_blocks")(torch.zeros(shape), start_at_layer=1)


def test_text_is_no_input_of_a_block(small_model: Build) -> None:
    with pytest.raises(InputError, match="not str"):
        small_model("08_two_blocks")("the dog", start_at_layer=1)


def test_a_loss_needs_the_tokens(small_model: Build, tokens: Tensor) -> None:
    model = small_model("08_two_blocks")
    reached = model(tokens, stop_at_layer=1)
    with pytest.raises(InputError, match="give them as tokens"):
        model(reached, return_type="loss", start_at_layer=1)
