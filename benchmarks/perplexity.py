"""Time to perplexity 17.8 on the TinyStories validation stories, stage 09.

Tokens times seconds a token, either side. Our tokens are those of a run that was recorded once in
`goal_run/` (`lt-interp train 09_multi_head --epochs 0.29` on the text of the shipped models: up to
the first validation at or below the goal, its last, as the run's length was chosen for the goal);
the notebooks' are read off the article's published curve for the same stage. Seconds a token are
measured here, in turn, each at its own batch size.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from benchmarks.harness import Comparison
from benchmarks.training import STAGE, embedded_data, our_seconds, their_seconds
from lt_interp.article import article
from lt_interp.methods.timing import REPEATS
from lt_interp.training.recipe import recipe_for

GOAL = 17.8
RUN = Path(__file__).with_name("goal_run")


def article_steps() -> int:
    """Steps of 64 rows at which the article's curve reaches the goal."""
    curve = article()["curves"][STAGE]
    return min(int(step) for step, perplexity in curve.items() if perplexity <= GOAL)


def our_tokens() -> int:
    """Tokens that the recorded run had seen at the first validation at or below the goal."""
    lines = (RUN / "metrics.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        if math.exp(line.get("val_loss_nats", math.inf)) <= GOAL:
            return line["tokens_seen"]
    raise SystemExit(f"error: the run in {RUN} never reaches perplexity {GOAL}")


def compare() -> list[Comparison]:
    """Seconds to the goal, in turn."""
    data = embedded_data()
    our_rows = json.loads((RUN / "run.json").read_text())["identity"]["recipe"]["batch_rows"]
    their_rows = recipe_for("article", STAGE).batch_rows
    predicted = data.train.width - 1
    our_steps, their_steps = our_tokens() / (our_rows * predicted), article_steps()
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(our_steps * our_seconds(data, rows=our_rows))
        theirs.append(their_steps * their_seconds(data, steps=2, rows=their_rows))
    return [
        Comparison(
            what=f"time to perplexity {GOAL} on validation stories, stage {STAGE}",
            against="the notebooks' loop, its steps from the article's curve",
            target=12,
            ours=ours,
            theirs=theirs,
            notes={
                "our_tokens": our_tokens(),
                "their_tokens": their_steps * their_rows * predicted,
                "not_measured": "the notebooks' loop was not run to the goal on our corpus",
                "fitted": "our run was made to end at the goal, the article's was not",
            },
        )
    ]
