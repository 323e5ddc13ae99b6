"""`lt-interp train`: stages from text to checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.cli.choices import LARGEST_SEED, CorpusName, Device, chosen_stages
from lt_interp.cli.console import note
from lt_interp.cli.corpora import encode, is_single_file, open_stories, split_rule
from lt_interp.cli.exits import INTERRUPTED
from lt_interp.cli.outputs import require_writable
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    import torch

    from lt_interp.corpus.sources import Corpus
    from lt_interp.corpus.tokenizer import Tokenizer
    from lt_interp.stages import Stage
    from lt_interp.training.batches import Data
    from lt_interp.training.recipe import Recipe


def train(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="STAGE", help="Stages of any family.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every stage of the ladder.")] = False,
    family: Annotated[str | None, typer.Option(help="Every stage of another article.")] = None,
    corpus: CorpusName = "embedded",
    recipe: Annotated[str, typer.Option(help="ladder, or article for what each did.")] = "ladder",
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of weights and order.")
    ] = 0,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the corpus, instead of the recipe's.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Where the runs go: OUT/STAGE, or OUT/STAGE-seedN for other seeds.")
    ] = Path("runs"),
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer's folder, instead of the stage's own.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=2, help="Tokens of a row, instead of the stage's own.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train stages; interrupted, the same command goes on from the last snapshot."""
    with bar("getting ready"):
        from lt_interp.corpus.tokenizer import load_tokenizer
        from lt_interp.model.device import find_device

        place = find_device(device)
        asked = chosen_stages(stages, all_=all_, family=family)
        runs = [(stage, _recipe(recipe, stage, epochs)) for stage in asked]
        require_writable(out)
        chosen = None if tokenizer is None else load_tokenizer(tokenizer)
    try:
        splits = _open(corpus)
        tokenizer_of = _tokenizers(splits[0], chosen)
        for number, (stage, how) in enumerate(runs, start=1):
            suffix = f"-seed{seed}" if seed else ""
            title = f"{stage.id} ({number} of {len(runs)})" if len(runs) > 1 else stage.id
            text = tokenizer_of(stage.tokenizer)
            fitted = stage.fitted(d_vocab=text.d_vocab, eos_id=text.eos_id, n_ctx=context)
            width = min(how.row_tokens or fitted.config.n_ctx, fitted.config.n_ctx)
            data = _encode(splits, text, width)
            folder = out / f"{stage.id}{suffix}"
            _run(fitted, data, how, seed, folder, title, place)
    except KeyboardInterrupt:
        note("interrupted; the same command resumes from the last snapshot")
        raise typer.Exit(INTERRUPTED) from None


def _recipe(name: str, stage: Stage, epochs: float | None) -> Recipe:
    from lt_interp.training.recipe import recipe_for

    return recipe_for(name, stage.id, epochs=epochs)


def _open(corpus: str) -> tuple[Corpus, Corpus]:
    """The stories to train on and those to validate on."""
    train = open_stories(corpus, split="train")
    validation = open_stories(corpus, split="validation")
    if is_single_file(corpus):
        note(split_rule(train, validation))
    return train, validation


def _tokenizers(training: Corpus, chosen: Tokenizer | None) -> Callable[[str], Tokenizer]:
    """What opens a stage's own tokenizer, each once, or gives the one that the user chose."""
    from lt_interp.corpus.tokenizer import named_tokenizer

    return cache(lambda name: chosen or named_tokenizer(name, training))


def _encode(splits: tuple[Corpus, Corpus], tokenizer: Tokenizer, width: int) -> Data:
    """Rows of both splits."""
    from lt_interp.training.batches import Data

    train, validation = (encode(stories, tokenizer, width=width) for stories in splits)
    return Data(train=train, validation=validation, tokenizer=tokenizer)


def _run(
    stage: Stage,
    data: Data,
    recipe: Recipe,
    seed: int,
    out: Path,
    title: str,
    device: torch.device,
) -> None:
    """Train one stage, with its display, and say what came of it."""
    from lt_interp.cli.training_display import training_display
    from lt_interp.training.loop import train as train_stage
    from lt_interp.training.run_folder import CARD, read_card

    was_done = (out / CARD).exists()
    tokens_a_step = recipe.batch_rows * (1 if recipe.last_token_only else data.train.width - 1)
    with training_display(title, tokens_a_step) as on_step:
        train_stage(stage, data, recipe, seed=seed, out=out, on_step=on_step, device=device)
    loss = read_card(out)["val_loss_nats"]
    verb = "trained already" if was_done else "trained"
    typer.echo(f"{out}: {verb}, validation loss {loss:.4f} nats, perplexity {math.exp(loss):.2f}")
