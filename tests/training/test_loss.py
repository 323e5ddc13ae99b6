"""The chunked cross-entropy against torch's, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lt_interp.training import loss as loss_module
from lt_interp.training.loss import linear_cross_entropy, token_losses


def problem(n_tokens: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(n_tokens)
    hidden = torch.randn(n_tokens, 6, generator=generator, dtype=dtype)
    weight = torch.randn(6, 11, generator=generator, dtype=dtype)
    bias = torch.randn(11, generator=generator, dtype=dtype)
    targets = torch.randint(11, (n_tokens,), generator=generator)
    return hidden, weight, bias, targets


def reference(*inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Three times torch's loss in float64, and its gradients."""
    hidden, weight, bias = (t.double().requires_grad_() for t in inputs[:3])
    value = 3 * F.cross_entropy(hidden @ weight + bias, inputs[3])
    value.backward()
    return value.detach(), [hidden.grad, weight.grad, bias.grad]


def ours(*inputs: Tensor, dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    hidden, weight, bias = (t.clone().requires_grad_() for t in inputs[:3])
    value = 3 * linear_cross_entropy(hidden, weight, bias, inputs[3], dtype=dtype)
    value.backward()
    return value.detach(), [hidden.grad, weight.grad, bias.grad]


@pytest.mark.parametrize("chunk", [1, 4, 7, 8, 9, 1024])
def test_value_and_gradients_are_torchs(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK", chunk)
    inputs = problem(8)
    value, gradients = ours(*inputs, dtype=torch.float32)
    expected_value, expected_gradients = reference(*inputs)
    torch.testing.assert_close(value.double(), expected_value, rtol=1e-6, atol=1e-6)
    for got, expected in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


def test_more_tokens_than_a_chunk_at_its_real_size() -> None:
    inputs = problem(loss_module.CHUNK + 3)
    value, gradients = ours(*inputs, dtype=torch.float32)
    expected_value, expected_gradients = reference(*inputs)
    torch.testing.assert_close(value.double(), expected_value, rtol=1e-5, atol=1e-5)
    for got, expected in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-6)


def test_bfloat16_is_close() -> None:
    inputs = problem(8)
    value, gradients = ours(*inputs, dtype=torch.bfloat16)
    expected_value, expected_gradients = reference(*inputs)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), expected_value, rtol=0.02, atol=0.02)
    for got, expected in zip(gradients, expected_gradients, strict=True):
        assert got.dtype == torch.float32
        error = (got.double() - expected).norm() / expected.norm()
        assert 0 < error < 0.02


def test_extreme_logits_stay_finite() -> None:
    hidden, weight, bias, targets = problem(8)
    value, gradients = ours(1e3 * hidden, weight, bias, targets, dtype=torch.float32)
    expected, _ = reference(1e3 * hidden, weight, bias, targets)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-3)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("chunk", [3, 1024])
def test_token_losses(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK", chunk)
    hidden, weight, bias, targets = problem(8)
    expected = F.cross_entropy(hidden @ weight + bias, targets, reduction="none")
    torch.testing.assert_close(token_losses(hidden, weight, bias, targets), expected)


def test_a_probability_too_small_for_a_float_still_has_its_loss() -> None:
    hidden, weight, bias, targets = problem(64)
    expected = F.cross_entropy((30 * hidden) @ weight + bias, targets, reduction="none")
    assert {bool(loss > 87.5) for loss in expected} == {True, False}
    found = token_losses(30 * hidden, weight, bias, targets)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
