"""`lt-interp report`: every analysis over every checkpoint, and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lt_interp.cli.choices import LARGEST_SEED, Checkpoints, CorpusName, Device, Workers
from lt_interp.cli.pages import redraw_pages, write_pages
from lt_interp.errors import InputError


def report(
    corpus: CorpusName = "embedded",
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("reports"),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One analysis; may be repeated.")
    ] = None,
    stages: Checkpoints = None,
    family: Annotated[
        str | None, typer.Option(help="Only one article's: ladder, numpy_gpt, four_layer_gpt ...")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the analyses.")] = 0,
    workers: Workers = None,
    device: Device = "auto",
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Only write the pages again, from the saved results.")
    ] = False,
) -> None:
    """Analyse the shipped checkpoints on a corpus, save the results and write the pages.

    The ladder's pages stand in the folder, those of every further article in one of its name below.
    Interrupted, the same command continues after the last model that was finished.
    """
    if redraw:
        typer.echo(redraw_pages(out))
        return
    from lt_interp.methods.registry import ANALYSES, analyses_of, get_analysis

    asked = [get_analysis(name)[0] for name in only or ()]
    analyses: dict[str, dict[str, Any]] = {}
    for each in _families(family, stages):
        possible = ANALYSES if stages and asked else analyses_of(each)
        wanted = [name for name in possible if name in asked or not asked]
        if wanted:
            analyses[each] = {name: {} for name in wanted}
    if not analyses:
        raise InputError(f"{', '.join(asked)}: no part of that report; leave --only out")
    typer.echo(
        write_pages(
            "report", analyses, corpus, out, only=only, stages=stages, seed=seed, workers=workers,
            device=device,
        )
    )  # fmt: skip


def _families(family: str | None, stages: list[str] | None) -> list[str]:
    """Whose pages to write: the one that is asked for, or every shipped one's, the ladder's last.

    The ladder's front page links to the others, so these must be there. Named stages make pages
    of their own, whichever family they are of.
    """
    from lt_interp.methods.registry import OTHERS
    from lt_interp.stages import require_family
    from lt_interp.training.run_folder import shipped_checkpoints

    if stages and family:
        raise InputError("both --stage and --family were given; name stages, or a family")
    if stages or family:
        return [require_family(family or "ladder")]
    every = (*OTHERS, "ladder")
    return [name for name in every if shipped_checkpoints(family=name)] or ["ladder"]
