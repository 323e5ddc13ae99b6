"""`lt-interp analyze`: one analysis, with its own choices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lt_interp.cli.choices import LARGEST_SEED, Checkpoints, CorpusName, Device, Workers
from lt_interp.cli.pages import write_pages
from lt_interp.errors import InputError


def analyze(
    name: Annotated[str, typer.Argument(help="The analysis, such as attention or moe-routing.")],
    stages: Checkpoints = None,
    corpus: CorpusName = "embedded",
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("reports"),
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the analysis.")] = 0,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", help="A text to look at; may be repeated.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="How many tokens (routing: decisions) to measure.")
    ] = None,
    workers: Workers = None,
    device: Device = "auto",
) -> None:
    """Run one analysis and write its page.

    Interrupted, the same command continues after the last model that was finished.
    """
    from lt_interp.methods.registry import get_analysis

    written, analysis = get_analysis(name)
    options: dict[str, Any] = {}
    for option, flag, value in (("prompts", "--prompt", prompt), ("tokens", "--tokens", tokens)):
        if value is not None and option not in analysis.options:
            raise InputError(f"{written} takes no {flag}; leave it out")
        if value is not None:
            options[option] = value
    page = write_pages(
        "analyze", {"ladder": {written: options}}, corpus, out, only=None, stages=stages,
        seed=seed, workers=workers, device=device,
    )  # fmt: skip
    typer.echo(page)
