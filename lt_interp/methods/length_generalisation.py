"""Trained on short rows, read on long ones: what three ways to tell positions make of the rest."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import Tokenizer, shipped_tokenizer
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import find_checkpoints, provenance
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.methods.workers import Share, Workers, do_all
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import Data, train
from lt_interp.training.recipe import recipe_for
from lt_interp.training.validation import row_losses

STAGES = ("gpt_learned", "gpt_alibi", "gpt_rope")
TRAINED, READ = 128, 512  # tokens of a row: predictions while training, ids while reading
BIN = 32
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
        Tables `runs` and `losses`: the mean loss within bins of positions, with an interval by
        story.

    Raises:
        InputError: The stories cannot be read, a folder holds another run, or there is no step.
    """
    if steps < 1:
        raise InputError(f"{steps} steps are no run; take 1 or more")

    def advance(done: float, place: int) -> None:
        if progress is not None:
            progress(round(100 * done), 100 * len(STAGES), STAGES[place])

    work = partial(_train_and_score, runs=runs, corpus=corpus, steps=steps, rows=rows, seed=seed)
    found = do_all(work, STAGES, workers=workers, advance=advance)
    checkpoints = find_checkpoints([runs / stage for stage in STAGES])
    trained = [
        {
            "stage": one.stage, "adds": one.adds, "seed": one.seed,
            "tokens_seen": one.card["tokens_seen"], "val_loss_nats": one.card["val_loss_nats"],
        }
        for one in checkpoints
    ]  # fmt: skip
    tables = {
        "runs": make_table(RUNS, trained),
        "losses": make_table(LOSSES, [row for table in found for row in table]),
    }
    notes = {
        "trained_on": TRAINED,
        "read": READ,
        "steps": steps,
        "batch_rows": BATCH_ROWS,
        "intervals": "95%, percentile bootstrap of 2,000 resamples of stories",
        "val_loss_nats": f"of the run itself, on rows of {TRAINED} predictions",
    }
    meta = provenance(
        checkpoints, _rows(corpus, "validation", READ), seed=seed, command=command, notes=notes
    )
    return Result(name="length_generalisation", tables=tables, meta=meta)


def loss_by_position(
    model: StageModel, rows: Rows, n_rows: int, *, bin_width: int = BIN, seed: int = 0
) -> list[dict[str, Any]]:
    """Mean loss of the predictions made at each bin of positions.

    Args:
        model: With a context of as many tokens as the rows predict.
        rows: What is read.
        n_rows: How many of them, from the first.
        bin_width: Positions in a bin; a prediction's position is that of the token it is made at.
        seed: Of the resampling of stories.
    """
    width = rows.width - 1
    n_bins = -(-width // bin_width)
    totals = np.zeros((rows.n_stories, n_bins))
    counts = np.zeros((rows.n_stories, n_bins), dtype=np.int64)
    bins = np.broadcast_to(np.arange(width) // bin_width, (n_rows, width))
    stories = rows.story_ids(slice(0, n_rows))[:, 1:]
    losses: Float[np.ndarray, "row pos"] = np.concatenate(
        list(row_losses(model, rows.tokens[:n_rows]))
    )
    np.add.at(totals, (stories, bins), losses)
    np.add.at(counts, (stories, bins), 1)
    found = []
    for place in range(n_bins):
        interval = story_bootstrap(totals[:, [place]], counts[:, place], seed=seed)
        mean, low, high = interval.at(0)
        found.append(
            {
                "first_position": place * bin_width + 1,
                "last_position": min((place + 1) * bin_width, width),
                "loss_nats": mean, "low": low, "high": high, "n_stories": interval.n_stories,
            }
        )  # fmt: skip
    return found


def _train_and_score(
    stage: str, share: Share, *, runs: Path, corpus: str, steps: int, rows: int | None, seed: int
) -> list[dict[str, Any]]:
    """The rows of one stage in `losses`."""
    recipe = recipe_for(
        "ladder", stage, row_tokens=TRAINED + 1, batch_rows=BATCH_ROWS, epochs=float(10**6),
        max_steps=steps, validate_every=50, log_every=10,
    )  # fmt: skip
    train_rows, validation = (_rows(corpus, name, TRAINED + 1) for name in ("train", "validation"))
    data = Data(train=train_rows, validation=validation, tokenizer=_tokenizer())
    train(
        get_stage(stage), data, recipe, seed=seed, out=runs / stage,
        on_step=lambda done, total, _: share(done, total + 1),
    )  # fmt: skip
    long = _rows(corpus, "validation", READ)
    n_rows = min(rows or long.n_rows, long.n_rows)
    found = loss_by_position(load(runs / stage), long, n_rows, seed=seed)
    return [{"stage": stage, **row} for row in found]


def _rows(corpus: str, split: str, width: int) -> Rows:
    return open_rows(open_corpus(corpus, split=split), _tokenizer(), width=width)


def _tokenizer() -> Tokenizer:
    return shipped_tokenizer(get_stage(STAGES[0]).tokenizer)
