"""Training: our trainer's step against the step of the article's notebooks.

Both take 32 rows a step of the same stage, in turn on the same machine. The notebooks' loop holds
all logits in float32 and steps AdamW; ours is `train` itself with the `ladder` recipe, its Muon
step, clipping and metrics included.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from benchmarks.harness import Comparison
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.model.initialisation import INITIALISATIONS
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.batches import Data
from lt_interp.training.card import precision_of
from lt_interp.training.loop import train
from lt_interp.training.recipe import recipe_for

STAGE, ROWS, STEPS = "09_multi_head", 32, 4
PAIRS = 15  # a step takes a third longer in one second than in the next


def embedded_data() -> Data:
    """The embedded stories, both splits."""
    tokenizer = default_tokenizer()
    splits = [
        open_rows(open_corpus("embedded", split=s), tokenizer) for s in ("train", "validation")
    ]
    return Data(train=splits[0], validation=splits[1], tokenizer=tokenizer)


def our_seconds(data: Data, *, steps: int = STEPS, rows: int = ROWS) -> float:
    """Median seconds of a step of `train`, the first and the last, which validates, left out."""
    recipe = recipe_for("ladder", STAGE, batch_rows=rows, max_steps=steps + 2, epochs=99)
    ended: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            get_stage(STAGE), data, recipe, seed=0, out=Path(folder) / "run",
            on_step=lambda *_: ended.append(time.perf_counter()),
        )  # fmt: skip
    return statistics.median(b - a for a, b in pairwise(ended[:-1]))


def their_seconds(data: Data, *, steps: int = STEPS, rows: int = ROWS) -> float:
    """Median seconds of a step of the notebooks' loop."""
    model = StageModel(get_stage(STAGE).config)
    INITIALISATIONS["pytorch"](model, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ended: list[float] = []
    for step in range(steps + 1):
        tokens = torch.from_numpy(
            data.train.tokens[step * rows : (step + 1) * rows].astype("int64")
        )
        logits = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        ended.append(time.perf_counter())
    return statistics.median(b - a for a, b in pairwise(ended))


def compare() -> list[Comparison]:
    """Seconds a step, in turn."""
    data = embedded_data()
    pairs = [(our_seconds(data), their_seconds(data)) for _ in range(PAIRS)]
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    tokens = ROWS * (data.train.width - 1)
    return [
        Comparison(
            what=f"training, stage {STAGE}, batch of {ROWS} rows",
            against="the notebooks' loop: all logits in float32, AdamW",
            target=3.5,
            ours=ours,
            theirs=theirs,
            notes={
                "our_tokens_per_second": round(tokens / statistics.median(ours)),
                "their_tokens_per_second": round(tokens / statistics.median(theirs)),
                "precision": precision_of(recipe_for("ladder", STAGE), torch.device("cpu")),
                "threads": torch.get_num_threads(),
            },
        )
    ]
