"""Muon: orthogonal updates of the right size, decay, and a problem it solves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lt_interp.training.muon import Muon, orthogonalise


def matrix(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8), (1, 9), (2, 3, 16, 8)])
def test_singular_values_end_near_one(shape: tuple[int, ...]) -> None:
    # spread over a factor of thirty, as in gradients, and none close to zero
    u, _, vh = torch.linalg.svd(matrix(*shape), full_matrices=False)
    rank = min(shape[-2:])
    spread = torch.logspace(0, -1.5, rank)
    values = torch.linalg.svdvals(orthogonalise(u * spread @ vh))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_singular_vectors_stay() -> None:
    m = matrix(12, 12)
    u, _, vh = torch.linalg.svd(m)
    turned = u.T @ orthogonalise(m) @ vh.T
    off_diagonal = turned - torch.diag(turned.diagonal())
    assert off_diagonal.abs().max() < 1e-4


@pytest.mark.parametrize("factor", [1e-4, 10.0, 1e6])
def test_the_scale_of_the_gradient_does_not_matter(factor: float) -> None:
    m = matrix(8, 32)
    torch.testing.assert_close(orthogonalise(factor * m), orthogonalise(m), atol=2e-3, rtol=2e-3)


def test_a_stack_is_as_many_matrices() -> None:
    stack = matrix(3, 2, 16, 8)
    together = orthogonalise(stack)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(together[i, j], orthogonalise(stack[i, j]))


def test_transposed_in_transposed_out() -> None:
    m = matrix(8, 32)
    torch.testing.assert_close(orthogonalise(m.T), orthogonalise(m).T)


def test_the_first_step_by_hand() -> None:
    start, gradient = matrix(8, 32), matrix(8, 32, seed=1)
    param = nn.Parameter(start.clone())
    param.grad = gradient.clone()
    Muon([param], lr=0.01, weight_decay=0.5).step()
    # momentum 0.05 g, Nesterov 0.05 g + 0.95 * 0.05 g: a multiple of g, so its own direction
    update = 0.2 * 32**0.5 * orthogonalise(gradient)
    torch.testing.assert_close(param.data, start * (1 - 0.01 * 0.5) - 0.01 * update)


def test_momentum_carries_on() -> None:
    first, second = matrix(6, 6, seed=1), matrix(6, 6, seed=2)
    param = nn.Parameter(torch.zeros(6, 6))
    optimizer = Muon([param], lr=1.0, weight_decay=0.0, momentum=0.9)
    param.grad = first.clone()
    optimizer.step()
    before = param.data.clone()
    param.grad = second.clone()
    optimizer.step()
    momentum = 0.9 * (0.1 * first) + 0.1 * second
    nesterov = 0.1 * second + 0.9 * momentum
    expected = before - 0.2 * 6**0.5 * orthogonalise(nesterov)
    torch.testing.assert_close(param.data, expected, atol=1e-4, rtol=1e-4)


def test_decay_alone_shrinks_weights() -> None:
    param = nn.Parameter(matrix(4, 4))
    start = param.data.clone()
    optimizer = Muon([param], lr=0.1, weight_decay=0.5)
    for _ in range(3):
        param.grad = torch.zeros(4, 4)
        optimizer.step()
    torch.testing.assert_close(param.data, start * 0.95**3)


def test_a_parameter_without_gradient_is_left_alone() -> None:
    param = nn.Parameter(matrix(4, 4))
    start = param.data.clone()
    optimizer = Muon([param], lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(param.data, start)
    assert not optimizer.state


def test_it_finds_a_planted_matrix() -> None:
    target, inputs = matrix(8, 8), matrix(64, 8, seed=1)
    param = nn.Parameter(torch.zeros(8, 8))
    optimizer = Muon([param], lr=0.1, weight_decay=0.0)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        (inputs @ (param - target)).square().mean().backward()
        optimizer.step()
    assert (param - target).square().mean() < 1e-2 * target.square().mean()
