"""The loss of every token of a set of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.training.loss import token_losses

BATCH_ROWS = 16


@torch.no_grad()
def row_losses(
    model: StageModel, tokens: np.ndarray
) -> Iterator[Float[np.ndarray, "rows pos_minus_1"]]:
    """Cross-entropy in nats of tokens 1.. of every row, a batch of rows at a time.

    Args:
        model: Any stage; what is hooked is computed in the open.
        tokens: Ids [row width]; a memory map is read batch by batch.
    """
    for start in range(0, len(tokens), BATCH_ROWS):
        rows = torch.from_numpy(tokens[start : start + BATCH_ROWS].astype(np.int64))
        rows = rows.to(model.W_U.device)
        with fused():  # only the losses are looked at
            hidden = model.hidden(rows[:, :-1])
        losses = token_losses(hidden.flatten(0, 1), model.W_U, model.b_U, rows[:, 1:].flatten())
        yield losses.reshape(hidden.shape[:2]).cpu().numpy()


def mean_loss(model: StageModel, tokens: np.ndarray) -> float:
    """Mean of `row_losses` over all tokens, in nats."""
    total = sum(float(losses.sum(dtype=np.float64)) for losses in row_losses(model, tokens))
    return total / (tokens.shape[0] * (tokens.shape[1] - 1))
