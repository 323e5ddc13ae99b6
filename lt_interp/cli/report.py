"""`lt-interp report`: every analysis over every checkpoint, and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lt_interp.cli.choices import LARGEST_SEED
from lt_interp.cli.pages import redraw_pages, write_pages


def report(
    corpus: Annotated[
        str,
        typer.Option(help="A file, a folder with train.* and validation.*, a hub id, or embedded."),
    ] = "embedded",
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("reports"),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One analysis; may be repeated.")
    ] = None,
    stages: Annotated[
        list[str] | None,
        typer.Option(
            "--stage", "--stages", help="One checkpoint, by name or folder; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the analyses.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Models measured at a time, each in a process with one thread; one a core if "
            "not given. The results do not depend on it.",
        ),
    ] = None,
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
