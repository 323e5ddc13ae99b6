"""`lt-interp report`: every analysis over every checkpoint, and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lt_interp.cli.choices import LARGEST_SEED, Checkpoints, CorpusName, Workers
from lt_interp.cli.pages import redraw_pages, write_pages


def report(
    corpus: CorpusName = "embedded",
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("reports"),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One analysis; may be repeated.")
    ] = None,
    stages: Checkpoints = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the analyses.")] = 0,
    workers: Workers = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Only write the pages again, from the saved results.")
    ] = False,
) -> None:
    """Analyse the shipped checkpoints on a corpus, save the results and write the pages.

    Interrupted, the same command continues after the last model that was finished.
    """
    if redraw:
        typer.echo(redraw_pages(out))
        return
    from lt_interp.methods.registry import ANALYSES, get_analysis

    asked = [get_analysis(name)[0] for name in only or ANALYSES]
    analyses: dict[str, dict[str, Any]] = {name: {} for name in ANALYSES if name in asked}
    page = write_pages(
        "report", analyses, corpus, out, only=only, stages=stages, seed=seed, workers=workers
    )
    typer.echo(page)
