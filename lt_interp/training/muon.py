"""Muon: momentum whose every update is made orthogonal, for the matrices inside blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by Newton-Schulz (Jordan et al. 2024, kellerjordan.github.io/muon).

    An update has all singular values near 1, times `0.2 sqrt(max(rows, columns))`, which gives it
    the size of an AdamW update, so that both share a learning rate (arXiv 2502.16982).
    `torch.optim.Muon` takes single matrices and computes in bfloat16, which processors without
    such instructions emulate at a hundredth of the speed; here leading axes (a head, an expert)
    are so many matrices, in the parameters' own type.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        """Take matrices [... rows columns].

        Args:
            params: Parameters of two axes or more.
            lr: Learning rate, on AdamW's scale.
            weight_decay: Decoupled: weights shrink by `lr * weight_decay` a step.
            momentum: Nesterov momentum.
        """
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient, those of one shape together."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    alike.setdefault(param.shape, []).append(param)
            for shape, params in alike.items():
                updates = torch.stack(
                    [self._momentum(param, group["momentum"]) for param in params]
                )
                scale = 0.2 * max(shape[-2:]) ** 0.5
                for param, update in zip(params, orthogonalise(updates), strict=True):
                    param.mul_(1 - group["lr"] * group["weight_decay"])
                    param.add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, param: nn.Parameter, momentum: float) -> Tensor:
        """A parameter's gradient and what is left of those before it (Nesterov), one step on."""
        assert param.grad is not None
        state = self.state[param]
        if not state:
            state["momentum"] = torch.zeros_like(param)
        state["momentum"].lerp_(param.grad, 1 - momentum)
        return param.grad.lerp(state["momentum"], momentum)


def orthogonalise(
    matrix: Float[Tensor, "*batch rows columns"], steps: int = 5
) -> Float[Tensor, "*batch rows columns"]:
    """Push all singular values towards 1, keeping the singular vectors.

    Five steps of the quintic iteration whose coefficients rise fastest at zero; singular values
    end within about 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.reshape(-1, *matrix.shape[-2:])
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrix.shape)
