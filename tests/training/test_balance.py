"""The load-balancing loss at its extremes and by its formula."""

from __future__ import annotations

import pytest
import torch

from lt_interp.training.balance import balance_loss

NAMES = [f"blocks.{layer}.mlp.hook_expert_" for layer in (0, 1)]


def layer(first_probability: torch.Tensor, name: str = NAMES[0]) -> dict[str, torch.Tensor]:
    weights = torch.stack([first_probability, 1 - first_probability], dim=-1)[None]
    indices = weights.argmax(dim=-1, keepdim=True)
    return {f"{name}weights": weights, f"{name}indices": indices}


def test_uniform_is_one_and_collapse_is_the_number_of_experts() -> None:
    even = torch.tensor([1.0, 0.0] * 4)
    assert balance_loss(layer(even)).item() == pytest.approx(1)
    assert balance_loss(layer(torch.ones(8))).item() == pytest.approx(2)


def test_the_formula_and_the_mean_over_layers() -> None:
    first, second = torch.tensor([0.9, 0.6, 0.2, 0.7]), torch.tensor([0.1, 0.4, 0.2, 0.7])
    one = 2 * (0.75 * 0.6 + 0.25 * 0.4)
    two = 2 * (0.25 * 0.35 + 0.75 * 0.65)
    both = layer(first) | layer(second, NAMES[1])
    assert balance_loss(both).item() == pytest.approx((one + two) / 2)


def test_the_gradient_moves_probability_to_the_expert_with_fewer_tokens() -> None:
    probability = torch.tensor([0.9, 0.8, 0.7, 0.4], requires_grad=True)
    balance_loss(layer(probability)).backward()
    assert (probability.grad > 0).all()  # so that descent lowers what expert 0 gets
