"""Whether training ever touched the router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.result import make_table
from lt_interp.methods.study import MODEL_COLUMNS
from lt_interp.model.initialisation import INITIALISATIONS
from lt_interp.model.stage_model import StageModel

GRADIENT = {"layer": str, "gradient_norm": float, "gradient_reaches": bool}
ORIGIN = {
    **MODEL_COLUMNS, "layer": str, "gradient_reaches": bool, "gradient_norm": float,
    "compared": bool, "as_initialised": bool, "largest_change": float, "cosine": float,
    "reason": str,
}  # fmt: skip


def gradient_rows(model: StageModel, tokens: Int[Tensor, "row pos"]) -> list[dict[str, Any]]:
    """Whether the loss has any gradient with respect to each layer's router.

    Args:
        model: A stage with experts.
        tokens: Rows to compute the loss on.
    """
    weights = [block.mlp.router.weight for block in model.blocks]
    with torch.enable_grad():
        loss = model(tokens, return_type="loss")
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return [
        {"layer": str(layer), "gradient_reaches": one is not None,
         "gradient_norm": 0.0 if one is None else float(one.norm())}
        for layer, one in enumerate(gradients)
    ]  # fmt: skip


def initial_routers(checkpoint: Checkpoint) -> list[Tensor] | str:
    """The routers that a run began with, made again from its seed; or in words why not."""
    recipe = checkpoint.card.get("identity", {}).get("recipe", {})
    rule = recipe.get("initialisation")
    if rule is None or checkpoint.seed is None:
        return "there is no record of how it was initialised"
    model = StageModel(checkpoint.config)
    generator = torch.Generator().manual_seed(checkpoint.seed)
    INITIALISATIONS[rule](model, generator)
    return [block.mlp.router.weight.detach() for block in model.blocks]


def origin_row(
    checkpoint: Checkpoint, trained: StageModel, gradient: dict[str, Any]
) -> dict[str, Any]:
    """One layer's router beside the one that its run began with.

    Args:
        checkpoint: The run.
        trained: Its model.
        gradient: The layer's row of `gradient_rows`.
    """
    start = initial_routers(checkpoint)
    row = {**gradient, "compared": not isinstance(start, str)}
    if isinstance(start, str):
        return {**row, "reason": start}
    layer = int(gradient["layer"])
    now, then = trained.blocks[layer].mlp.router.weight.detach().cpu(), start[layer]
    stored = then.half().float()  # checkpoints are stored in half precision
    plane, first = ((w - w.mean(dim=0)).flatten() for w in (now, then))  # what tells experts apart
    return {
        **row,
        "as_initialised": bool(torch.equal(now, stored)),
        "largest_change": float((now - stored).abs().max()),
        "cosine": float(torch.nn.functional.cosine_similarity(plane, first, dim=0)),
    }


def origin_table(checkpoints: Sequence[Checkpoint], gradient: pd.DataFrame) -> pd.DataFrame:
    """Every router beside the one its run began with.

    Args:
        checkpoints: All models.
        gradient: The rows of `gradient_rows`, of those with experts.
    """
    rows = []
    for checkpoint in checkpoints:
        mine = gradient[gradient["checkpoint"] == checkpoint.name]
        if mine.empty:
            continue
        trained = checkpoint.load()
        for row in mine.itertuples():
            about = {"layer": row.layer, "gradient_norm": row.gradient_norm,
                     "gradient_reaches": bool(row.gradient_reaches)}  # fmt: skip
            model = {"checkpoint": checkpoint.name, "stage": checkpoint.stage,
                     "train_seed": checkpoint.seed}  # fmt: skip
            rows.append({**model, **origin_row(checkpoint, trained, about)})
    return make_table(ORIGIN, rows)
