"""`lt-interp evaluate`: how well trained stages predict a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lt_interp.cli.choices import LARGEST_SEED, CorpusName, Device, chosen_checkpoints
from lt_interp.cli.console import note, print_json, print_table
from lt_interp.cli.corpora import encode, open_split
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    from lt_interp.corpus.sources import Corpus
    from lt_interp.methods.checkpoints import Checkpoint


def evaluate(
    stages: Annotated[
        list[str] | None,
        typer.Argument(metavar="STAGE", help="Shipped checkpoints, or folders of others."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every shipped one of the ladder.")] = False,
    family: Annotated[
        str | None, typer.Option(help="Every shipped one of another article.")
    ] = None,
    corpus: CorpusName = "embedded",
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or all; a single file is scored whole by default."),
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=2, help="Tokens of a row, instead of those trained on.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the interval's bootstrap.")
    ] = 0,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Score stages on a corpus, every position, with a 95% interval by story."""
    with bar("looking for checkpoints"):
        checkpoints = chosen_checkpoints(stages, all_=all_, family=family, device=device)
    stories = open_split(corpus, split=split)
    found = [_score(checkpoint, stories, context, seed=seed) for checkpoint in checkpoints]
    note(f"{stories.name} ({stories.split}): {stories.n_stories:,} stories")
    if as_json:
        print_json(found)
        return
    columns = ["stage", "loss (nats)", "perplexity", "95% interval", "last token", "tokens"]
    print_table(columns, [_row(entry) for entry in found])


def _score(
    checkpoint: Checkpoint, stories: Corpus, context: int | None, *, seed: int
) -> dict[str, Any]:
    """One checkpoint's figures, with bars."""
    from lt_interp.methods.evaluation import evaluate as score
    from lt_interp.training.checkpoint import load

    assert checkpoint.folder is not None, "the command line names folders"
    model = load(checkpoint.folder, n_ctx=context, device=checkpoint.device)
    assert model.tokenizer is not None, "no checkpoint opens without its tokenizer"
    rows = encode(stories, model.tokenizer, width=context or model.cfg.n_ctx)
    with bar(f"scoring {checkpoint.name}") as advance:
        result = score(model, rows, seed=seed, progress=advance)
    interval = result.perplexity_interval
    return {
        "id": checkpoint.name,
        "loss_nats": result.loss_nats,
        "perplexity": result.perplexity,
        "perplexity_interval": interval and list(interval),
        "perplexity_last_token": result.perplexity_last_token,
        "n_tokens": result.n_tokens,
        "n_stories": result.n_stories,
    }


def _row(entry: dict[str, Any]) -> list[Any]:
    interval = entry["perplexity_interval"]
    return [
        entry["id"],
        round(entry["loss_nats"], 4),
        entry["perplexity"],
        interval and f"{interval[0]:.4g} to {interval[1]:.4g}",
        entry["perplexity_last_token"],
        entry["n_tokens"],
    ]
