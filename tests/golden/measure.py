"""A few figures of a shipped checkpoint that any change of behaviour would move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import lt_interp as lt
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.training.validation import mean_loss

PINNED = Path(__file__).with_name("golden.json")
ROWS, WIDTH = 8, 128


def measure(name: str) -> dict[str, float | str]:
    """The mean loss of a checkpoint on a few embedded rows, and what its routers send to expert 1.

    And a text that it samples: a change of how tokens are drawn makes all saved samples stale.

    Args:
        name: Of a shipped checkpoint.
    """
    model = lt.load(name)
    assert model.tokenizer is not None
    tokens = open_rows(open_corpus("embedded"), model.tokenizer, width=WIDTH).tokens[:ROWS]
    found: dict[str, float | str] = {"loss_nats": mean_loss(model, tokens)}
    found["sample"] = model.generate("Once upon a time", 12, seed=0)
    if model.config.experts:
        rows = torch.from_numpy(tokens[:, :-1].astype(np.int64))
        _, cache = model.run_with_cache(rows, names_filter=lambda name: "indices" in name)
        for layer in range(model.config.depth):
            chosen = cache[f"blocks.{layer}.mlp.hook_expert_indices"]
            found[f"share_of_expert_1_in_layer_{layer}"] = float((chosen == 1).float().mean())
    return found
