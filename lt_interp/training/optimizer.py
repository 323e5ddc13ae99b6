"""Which parameter is trained by what, and the optimizers' state as named tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lt_interp.model.stage_model import StageModel
from lt_interp.training.muon import Muon
from lt_interp.training.recipe import Recipe

# What an optimizer remembers of a parameter: tensors of its shape, but for the number of steps.
SLOTS: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum",),
}


def part_of(name: str) -> str:
    """The part that a parameter belongs to: embed, pos_embed, attn, mlp, router, ln or unembed."""
    pieces = name.split(".")
    if "router" in pieces:
        return "router"
    part = pieces[2] if pieces[0] == "blocks" else pieces[0]
    return "ln" if part.startswith("ln") else part


def block_of(name: str) -> str | None:
    """The number of the block that a parameter belongs to, if it does."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "blocks" else None


def build_optimizers(model: StageModel, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The recipe's optimizers over all parameters of a model.

    Every group remembers its peak learning rate as `peak_lr`, for `set_lr`.
    """
    muon: list[nn.Parameter] = []
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, param in model.named_parameters():
        part = part_of(name)
        if recipe.optimizer == "muon" and part in ("attn", "mlp") and param.ndim >= 2:
            muon.append(param)
            continue
        is_embedding = part in ("embed", "pos_embed")
        lr = recipe.lr_unembed
        if is_embedding:
            lr = recipe.lr_embed
        elif part in ("attn", "mlp"):
            lr = recipe.lr
        decays = recipe.optimizer == "adamw" or (param.ndim >= 2 and not is_embedding)
        decay = recipe.weight_decay if decays else 0.0
        groups.setdefault((lr, decay), []).append(param)
    adamw = [{"params": p, "lr": lr, "weight_decay": wd} for (lr, wd), p in groups.items()]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(adamw, betas=recipe.betas, fused=True)
    ]
    if muon:
        optimizers.append(Muon(muon, lr=recipe.lr, weight_decay=recipe.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def set_lr(optimizers: list[torch.optim.Optimizer], scale: float) -> None:
    """Set every group's learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = scale * group["peak_lr"]


def optimizer_tensors(
    model: StageModel, optimizers: list[torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """All state of the optimizers, named `parameter/key`."""
    tensors = {}
    for name, param in model.named_parameters():
        for optimizer in optimizers:
            for key, value in optimizer.state.get(param, {}).items():
                tensors[f"{name}/{key}"] = value
    return tensors


def restore_optimizers(
    model: StageModel, optimizers: list[torch.optim.Optimizer], tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` gave.

    A parameter that never had a gradient (of an ungated router, of an expert that nothing was sent
    to) has no state, here as before.

    Raises:
        ValueError: The tensors are not the state of these optimizers, or not finite.
    """
    names = {param: name for name, param in model.named_parameters()}
    left = dict(tensors)
    for optimizer in optimizers:
        for param in (param for group in optimizer.param_groups for param in group["params"]):
            name = names[param]
            found = [f"{name}/{slot}" for slot in SLOTS[type(optimizer)]]
            if not left.keys() & set(found) and (".router." in name or ".experts." in name):
                continue
            for key, slot in zip(found, SLOTS[type(optimizer)], strict=True):
                value = left.pop(key, None)
                shape = () if slot == "step" else param.shape
                if value is None or value.shape != shape or not value.isfinite().all():
                    raise ValueError(key)
                optimizer.state[param][slot] = value.to(param.device)
    if left:
        raise ValueError(next(iter(left)))


def gradient_norms(
    model: StageModel, named: Callable[[str], str | None] = part_of
) -> dict[str, float]:
    """The gradient's norm by part, or by whatever names a parameter, for the metrics.

    Args:
        model: With gradients.
        named: What a parameter's gradient counts towards, from its name; `None` for nothing.
    """
    squares: dict[str, float] = {}
    for name, param in model.named_parameters():
        if param.grad is not None and (part := named(name)) is not None:
            squares[part] = squares.get(part, 0.0) + float(param.grad.square().sum())
    return {part: square**0.5 for part, square in squares.items()}
