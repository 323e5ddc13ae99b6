"""The mixture of experts against a loop over tokens, and what its router can learn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lt_interp.model.parts.moe import MixtureOfExperts
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]
MOE = ["10_moe", "10_moe_gated"]


def one_token(moe: MixtureOfExperts, x: Tensor, *, other: bool = False) -> Tensor:
    """What becomes of one vector, by the definition; `other`: by the expert it does not go to."""
    scores = [(x @ moe.router.weight[e]).item() for e in range(2)]
    chosen = scores.index(max(scores)) ^ int(other)
    expert = moe.experts[chosen]
    out = torch.relu(x @ expert.W_in + expert.b_in) @ expert.W_out + expert.b_out
    if not moe.gated:
        return out
    return out * torch.tensor(scores).exp()[chosen] / torch.tensor(scores).exp().sum()


@pytest.mark.parametrize("stage_id", MOE)
def test_each_token_goes_through_its_likeliest_expert(stage_id: str, small_model: Build) -> None:
    moe = small_model(stage_id).blocks[0].mlp
    x = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    chosen = (x @ moe.router.weight.T).argmax(dim=-1)
    assert chosen.unique().tolist() == [0, 1]
    expected = torch.stack([torch.stack([one_token(moe, v) for v in row]) for row in x])
    torch.testing.assert_close(moe(x), expected)


@pytest.mark.parametrize("stage_id", MOE)
def test_writing_the_indices_sends_tokens_to_the_other_expert(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    moe = model.blocks[1].mlp
    name = "blocks.1.mlp.hook_expert_indices"
    norm = model.blocks[1].ln2
    inputs = model.run_with_cache(tokens)[1]["normalized", 1, "ln2"] * norm.w + norm.b
    with model.hooks([(name, lambda act, hook: 1 - act)]):
        logits, cache = model.run_with_cache(tokens)
    expected = [torch.stack([one_token(moe, v, other=True) for v in row]) for row in inputs]
    torch.testing.assert_close(cache["mlp_out", 1], torch.stack(expected))
    assert (logits - model(tokens)).abs().max() > 1e-3


def test_no_gradient_reaches_an_ungated_router(small_model: Build, tokens: Tensor) -> None:
    model = small_model("10_moe")
    model(tokens, return_type="loss").backward()
    for block in model.blocks:
        grad = block.mlp.router.weight.grad
        assert grad is None or not grad.any()
        assert all(expert.W_in.grad.any() for expert in block.mlp.experts)


def test_a_gradient_reaches_a_gated_router(small_model: Build, tokens: Tensor) -> None:
    model = small_model("10_moe_gated")
    model(tokens, return_type="loss").backward()
    assert all(block.mlp.router.weight.grad.any() for block in model.blocks)


def test_router_probabilities_and_indices_agree(small_model: Build, tokens: Tensor) -> None:
    cache = small_model("10_moe").run_with_cache(tokens)[1]
    for layer in (0, 1):
        weights = cache["expert_weights", layer, "mlp"]
        indices = cache["expert_indices", layer, "mlp"]
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 10))
        assert (weights.gather(2, indices) >= 0.5).all()


def test_the_two_mixtures_differ_by_the_gate_alone(small_model: Build, tokens: Tensor) -> None:
    faithful, gated = small_model("10_moe"), small_model("10_moe_gated")
    gated.load_state_dict(faithful.state_dict())
    one = [("blocks.0.mlp.hook_expert_weights", lambda act, hook: (act > 0.5).float())]
    one += [("blocks.1.mlp.hook_expert_weights", one[0][1])]
    with gated.hooks(one):
        torch.testing.assert_close(gated(tokens), faithful(tokens))
    assert (gated(tokens) - faithful(tokens)).abs().max() > 1e-3
