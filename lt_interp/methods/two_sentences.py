"""The NumPy article's training: two sentences, again and again, until the model continues them."""

from __future__ import annotations

import hashlib
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.samples import TEMPERATURE
from lt_interp.methods.study import Study
from lt_interp.methods.workers import Share, Workers
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import Stage
from lt_interp.training.batches import Data
from lt_interp.training.loop import train
from lt_interp.training.metrics import read_metrics
from lt_interp.training.recipe import recipe_for

TEXT = "The cat sat on the mat. The dog sat on the log. " * 20
PROMPT = "The cat"
STEPS = (50, 1000)  # the article's, and until the sentences are learned
NEW_TOKENS, TOP_P = 60, 0.9
ROW_TOKENS = 33  # the article's slice
LOSSES = {"steps": int, "step": int, "train_loss_nats": float}
SAMPLES = {"steps": int, "prompt": str, "sample": str}


def two_sentences(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
) -> Result:
    """Train each stage anew on the article's two sentences, with the article's recipe.

    Args:
        models: Trained models, for their architecture and tokenizer; their weights are not used.
        rows: Token rows of the models' tokenizer; none is read.
        seed: Of weights, order and sampling.
        progress: Called with how much is done.
        command: What repeats the analysis.
        keep: Where finished models are kept.
        workers: Processes for the models.

    Returns:
        Tables `losses` (every step) and `samples` (what it then makes of "The cat"), for as many
        steps as the article takes and for more.
    """
    found = list(one_a_stage(find_checkpoints(models)).values())
    study = Study(
        name="two_sentences", checkpoints=found, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers, options={"steps": STEPS},
    )  # fmt: skip
    tables = study.each(
        partial(_measure, seed=seed), columns={"losses": LOSSES, "samples": SAMPLES}, needs=_needs
    )
    notes = {
        "text": f"{TEXT[:48]!r}, 20 times",
        "recipe": f"Adam 3e-4, one slice of {ROW_TOKENS} tokens a step, as in the article; "
        "gradients by backpropagation, where the article takes finite differences",
        "sampling": f"temperature {TEMPERATURE}, top-p {TOP_P}, {NEW_TOKENS} tokens",
    }
    return study.result(tables, notes=notes)


def _needs(config: ModelConfig) -> str | None:
    read = ROW_TOKENS - 1
    return f"reads {config.n_ctx} tokens, a slice has {read}" if config.n_ctx < read else None


def _measure(model: StageModel, share: Share, *, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Both runs of one stage."""
    if model.tokenizer is None:
        raise InputError("two_sentences needs a model with a tokenizer; open a checkpoint")
    name, data = str(model.cfg.model_name), sentences(model.tokenizer)
    stage = Stage(id=name, adds="", config=model.config)
    losses: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    for before, steps in zip((0, *STEPS), STEPS, strict=False):
        recipe = recipe_for("article", "byte_gpt", max_steps=steps, log_every=1)

        def report(done: int, _total: int, _line: dict[str, Any], before: int = before) -> None:
            share(before + done, sum(STEPS))

        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            trained = train(stage, data, recipe, seed=seed, out=run, on_step=report)
            losses += [
                {"steps": steps, "step": line["step"], "train_loss_nats": line["train_loss_nats"]}
                for line in read_metrics(run)
            ]
        written = trained.generate(
            PROMPT, NEW_TOKENS, temperature=TEMPERATURE, top_p=TOP_P, seed=seed
        )
        samples.append({"steps": steps, "prompt": PROMPT, "sample": written[len(PROMPT) :]})
    return {"losses": losses, "samples": samples}


def sentences(tokenizer: Tokenizer) -> Data:
    """The two sentences as rows, to learn from and to be validated on."""
    text = Corpus(
        name="two sentences", split="all", n_stories=1, read=lambda: iter([TEXT]),
        sha256=hashlib.sha256(f"{TEXT}\n<|endoftext|>\n".encode()).hexdigest(),
    )  # fmt: skip
    rows = open_rows(text, tokenizer, width=ROW_TOKENS)
    return Data(train=rows, validation=rows, tokenizer=tokenizer)
