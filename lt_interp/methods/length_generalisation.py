"""Trained on short rows, read on long ones: what three ways to tell positions make of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import Tokenizer, shipped_tokenizer
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import find_checkpoints, provenance
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.statistics import story_contrast, story_means, story_totals
from lt_interp.methods.workers import Share, Workers, do_all
from lt_interp.stages import get_stage
from lt_interp.training.batches import Data
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import train
from lt_interp.training.recipe import MANY, recipe_for
from lt_interp.training.validation import row_losses

STAGES = ("gpt_learned", "gpt_alibi", "gpt_rope")
TRAINED, READ = 128, 512  # tokens of a row: predictions while training, ids while reading
BIN = 32
# What a rise is counted from: a single bin lies as much as 0.1 nats above the one before it, in all
# stages alike; the first quarter has little to read and would hide a rise.
RISE_FROM = TRAINED // 4 + 1
STEPS, BATCH_ROWS = 150, 32
LOSSES = {
    "stage": str,
    "first_position": int,
    "last_position": int,
    "loss_nats": float,
    "low": float,
    "high": float,
    "n_stories": int,
}
RISES = {
    "stage": str,
    "first_position": int,
    "last_trained_position": int,
    "last_position": int,
    "trained_loss_nats": float,
    "beyond_loss_nats": float,
    "rise_nats": float,
    "low": float,
    "high": float,
    "n_stories": int,
}
DIFFERENCES = {
    "stage": str,
    "against": str,
    "difference_nats": float,
    "low": float,
    "high": float,
    "n_stories": int,
}
RUNS = {"stage": str, "adds": str, "seed": int, "tokens_seen": int, "val_loss_nats": float}


def length_generalisation(
    runs: Path,
    *,
    corpus: str = "embedded",
    steps: int = STEPS,
    rows: int | None = None,
    seed: int = 0,
    workers: Workers | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Result:
    """Train what is not trained yet on rows of 128 predictions, and score rows of 512 tokens.

    The stages keep their context of 512: learned positions have vectors beyond 128 that no step
    ever moved.

    Args:
        runs: The folder of the training runs; begun again, they go on where they were.
        corpus: The stories, as `open_corpus` takes them; validation rows are scored.
        steps: Of every run.
        rows: How many rows of 512 tokens to score; all if not given.
        seed: Of weights, order and resampling.
        workers: Processes for the runs.
        progress: Called with how much is done, how much there is, and the stage.
        command: What repeats it.

    Returns:
        Tables `runs`; `losses`, the mean loss within bins of positions; `rises`, the mean loss
        beyond what was trained minus that before; and `rise_differences`, of each pair of stages.
        All with intervals by story.

    Raises:
        InputError: The stories cannot be read, a folder holds another run, or there is no step.
    """
    if steps < 1:
        raise InputError(f"{steps} steps are no run; take 1 or more")

    def advance(done: float, place: int) -> None:
        if progress is not None:
            progress(round(100 * done), 100 * len(STAGES), STAGES[place])

    work = partial(_train_and_score, runs=runs, corpus=corpus, steps=steps, rows=rows, seed=seed)
    found = dict(zip(STAGES, do_all(work, STAGES, workers=workers, advance=advance), strict=True))
    checkpoints = find_checkpoints([runs / stage for stage in STAGES])
    trained = [
        {
            "stage": one.stage, "adds": one.adds, "seed": one.seed,
            "tokens_seen": one.card["tokens_seen"], "val_loss_nats": one.card["val_loss_nats"],
        }
        for one in checkpoints
    ]  # fmt: skip
    long = _rows(corpus, "validation", READ)
    stories = long.story_ids(slice(0, _n_rows(long, rows)))[:, 1:]
    bins = [
        {"stage": stage, **row}
        for stage, losses in found.items()
        for row in loss_by_position(losses, stories, seed=seed)
    ]
    rises, differences = rises_beyond(found, stories, seed=seed)
    tables = {
        "runs": make_table(RUNS, trained),
        "losses": make_table(LOSSES, bins),
        "rises": make_table(RISES, rises),
        "rise_differences": make_table(DIFFERENCES, differences),
    }
    notes = {
        "trained_on": TRAINED,
        "read": READ,
        "steps": steps,
        "batch_rows": BATCH_ROWS,
        "intervals": "95%, percentile bootstrap of 2,000 resamples of stories",
        "rises": f"the mean loss at positions {TRAINED + 1} to {READ - 1} minus that at "
        f"{RISE_FROM} to {TRAINED}, the same resamples for both and for all stages",
        "val_loss_nats": f"of the run itself, on rows of {TRAINED} predictions",
    }
    meta = provenance(checkpoints, long, seed=seed, command=command, notes=notes)
    return Result(name="length_generalisation", tables=tables, meta=meta)


def loss_by_position(
    losses: Float[np.ndarray, "row pos"],
    stories: Int[np.ndarray, "row pos"],
    *,
    bin_width: int = BIN,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Mean loss of the predictions made at each bin of positions.

    Args:
        losses: Of every prediction, in nats.
        stories: The story of each predicted token.
        bin_width: Positions in a bin; a prediction's position is that of the token it is made at.
        seed: Of the resampling of stories.
    """
    width = losses.shape[1]
    found = []
    for first in range(0, width, bin_width):
        last = min(first + bin_width, width)
        interval = story_means(
            losses[:, first:last].reshape(-1, 1), stories[:, first:last].ravel(), seed=seed
        )
        mean, low, high = interval.at(0)
        found.append(
            {
                "first_position": first + 1, "last_position": last,
                "loss_nats": mean, "low": low, "high": high, "n_stories": interval.n_stories,
            }
        )  # fmt: skip
    return found


def rises_beyond(
    losses: Mapping[str, Float[np.ndarray, "row pos"]],
    stories: Int[np.ndarray, "row pos"],
    *,
    first: int = RISE_FROM,
    trained: int = TRAINED,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How much more is lost beyond what was trained than before, and by whom more than by another.

    That the tokens of some positions are harder than those of others is in the rise of every
    stage; what is left of it in their differences is how the stages take it.

    Args:
        losses: Of every prediction by stage, on the same tokens.
        stories: The story of each predicted token.
        first: The position that the part before begins with, counted from 1.
        trained: The last one that training reached.
        seed: Of the resampling of stories.

    Returns:
        The rows of `rises` and of `rise_differences`.
    """
    pairs = list(combinations(losses, 2))
    columns = [*losses.values(), *(losses[a] - losses[b] for a, b in pairs)]
    values = np.stack(columns, axis=2)
    position = np.arange(1, values.shape[1] + 1)
    parts = (position > trained, (position >= first) & (position <= trained))
    story = stories.ravel()
    totals = np.stack(
        [story_totals((values * part[:, None]).reshape(len(story), -1), story) for part in parts]
    )
    counts = np.stack(
        [np.bincount(story, np.broadcast_to(part, stories.shape).ravel()) for part in parts]
    ).astype(np.int64)
    interval = story_contrast(totals, counts, seed=seed)
    beyond, before = totals.sum(axis=1) / counts.sum(axis=1)[:, None]
    rises, differences = [], []
    for place, stage in enumerate(losses):
        rise, low, high = interval.at(place)
        rises.append(
            {
                "stage": stage, "first_position": first, "last_trained_position": trained,
                "last_position": len(position), "trained_loss_nats": before[place],
                "beyond_loss_nats": beyond[place], "rise_nats": rise, "low": low, "high": high,
                "n_stories": interval.n_stories,
            }
        )  # fmt: skip
    for place, (stage, against) in enumerate(pairs, len(losses)):
        difference, low, high = interval.at(place)
        differences.append(
            {
                "stage": stage, "against": against, "difference_nats": difference,
                "low": low, "high": high, "n_stories": interval.n_stories,
            }
        )  # fmt: skip
    return rises, differences


def _train_and_score(
    stage: str, share: Share, *, runs: Path, corpus: str, steps: int, rows: int | None, seed: int
) -> Float[np.ndarray, "row pos"]:
    """The loss of every prediction of one stage, in nats."""
    recipe = recipe_for(
        "ladder", stage, row_tokens=TRAINED + 1, batch_rows=BATCH_ROWS, epochs=MANY,
        max_steps=steps, validate_every=50, log_every=10,
    )  # fmt: skip
    train_rows, validation = (_rows(corpus, name, TRAINED + 1) for name in ("train", "validation"))
    data = Data(train=train_rows, validation=validation, tokenizer=_tokenizer())
    train(
        get_stage(stage), data, recipe, seed=seed, out=runs / stage,
        on_step=lambda done, total, _: share(done, total + 1),
    )  # fmt: skip
    long = _rows(corpus, "validation", READ)
    read = long.tokens[: _n_rows(long, rows)]
    return np.concatenate(list(row_losses(load(runs / stage), read)))


def _n_rows(rows: Rows, asked: int | None) -> int:
    """How many rows are scored."""
    return min(asked or rows.n_rows, rows.n_rows)


def _rows(corpus: str, split: str, width: int) -> Rows:
    return open_rows(open_corpus(corpus, split=split), _tokenizer(), width=width)


def _tokenizer() -> Tokenizer:
    return shipped_tokenizer(get_stage(STAGES[0]).tokenizer)
