"""Training: our step against the step of the article's notebooks.

Both take the same 32 rows of the same stage on the same machine in turn. The notebooks' holds all
logits in float32 and steps AdamW; ours is the trainer's own, with the `ladder` recipe.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.harness import Comparison, in_turn
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.model.initialisation import INITIALISATIONS
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.loop import trainer
from lt_interp.training.recipe import recipe_for

STAGE, ROWS, STEPS = "09_multi_head", 32, 2


def notebook_steps(rows: Rows) -> Callable[[], None]:
    """The loop of the article's notebooks: every logit of the batch at once, AdamW."""
    model = StageModel(get_stage(STAGE).config)
    INITIALISATIONS["pytorch"](model, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = torch.from_numpy(rows.tokens[:ROWS].astype("int64"))

    def run() -> None:
        for _ in range(STEPS):
            logits = model(tokens[:, :-1])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return run
