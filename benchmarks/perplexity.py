"""Time to perplexity 17.8 on the TinyStories validation stories, stage 09.

Tokens times seconds a token, either side. The tokens are those of two runs on the text of the
shipped models, each recorded once: ours in `goal_run/` (`lt-interp train 09_multi_head --epochs
0.29`), up to the first validation at or below the goal, its last, as the run's length was chosen
for the goal; the notebooks' in `notebooks_run/` (`lt-interp train 09_multi_head --recipe article
--epochs 5`, in float32), up to the last validation still above it, so that they are given no token
too many. Seconds a token are measured here, in turn, each at its own batch size.
"""

from __future__ import annotations

import json
import math
from itertools import takewhile
from pathlib import Path

from benchmarks.harness import Comparison
from benchmarks.training import STAGE, embedded_data, our_seconds, their_seconds
from lt_interp.methods.timing import REPEATS
from lt_interp.training.metrics import read_metrics
from lt_interp.training.recipe import recipe_for

GOAL = 17.8
OURS, THEIRS = (Path(__file__).with_name(name) for name in ("goal_run", "notebooks_run"))


def our_tokens() -> int:
    """Tokens that our run had seen at the first validation at or below the goal."""
    return next(tokens for tokens, perplexity in validations(OURS) if perplexity <= GOAL)


def their_tokens() -> int:
    """Tokens that the notebooks' run had seen at the last validation before it reached the goal."""
    above = list(takewhile(lambda point: point[1] > GOAL, validations(THEIRS)))
    return above[-1][0]


def validations(run: Path) -> list[tuple[int, float]]:
    """Tokens seen and perplexity, in the order of the run."""
    lines = [line for line in read_metrics(run) if "val_loss_nats" in line]
    return [(line["tokens_seen"], math.exp(line["val_loss_nats"])) for line in lines]


def compare() -> list[Comparison]:
    """Seconds to the goal, in turn."""
    data = embedded_data()
    our_rows = json.loads((OURS / "run.json").read_text())["identity"]["recipe"]["batch_rows"]
    their_rows = recipe_for("article", STAGE).batch_rows
    predicted = data.train.width - 1
    our_steps = our_tokens() / (our_rows * predicted)
    their_steps = their_tokens() / (their_rows * predicted)
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(our_steps * our_seconds(data, rows=our_rows))
        theirs.append(their_steps * their_seconds(data, steps=2, rows=their_rows))
    return [
        Comparison(
            what=f"time to perplexity {GOAL} on validation stories, stage {STAGE}",
            against="the notebooks' loop",
            target=12,
            ours=ours,
            theirs=theirs,
            notes={
                "our_tokens": our_tokens(),
                "their_tokens": their_tokens(),
                "fitted": "our run was made to end at the goal, the notebooks' was not",
            },
        )
    ]
