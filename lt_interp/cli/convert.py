"""`lt-interp convert`: a notebook's PyTorch checkpoint as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.cli.console import note
from lt_interp.cli.outputs import require_new_folder
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    from lt_interp.training.convert import Conversion


def convert(
    path: Annotated[Path, typer.Argument(help="The .pt file: a state dict, or a dict with one.")],
    stage: Annotated[str, typer.Option(help="The stage it is, such as 09_multi_head.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="What it was trained with: a tokenizer's folder, or the notebooks'."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to make, by default runs/STAGE-converted.")
    ] = None,
) -> None:
    """Read a checkpoint of the article's notebooks, check every weight, and write a folder.

    Nothing in the file is run: one that asks for it is refused.
    """
    with bar("converting"):
        from lt_interp.corpus.article_tokenizer import open_tokenizer
        from lt_interp.stages import get_stage
        from lt_interp.training.convert import convert as convert_file

        folder = out or Path("runs", f"{get_stage(stage).id}-converted")
        require_new_folder(folder)
        named = None if tokenizer is None else open_tokenizer(tokenizer)
        done = convert_file(path, stage, out=folder, tokenizer=named)
    for line in _notes(done, tokenizer_was_named=named is not None):
        note(f"note: {line}")
    typer.echo(f"{folder}: {done.model!r}")


def _notes(done: Conversion, *, tokenizer_was_named: bool) -> list[str]:
    """What was assumed or left out, and could be wrong."""
    lines = []
    if done.ignored:
        lines.append(f"not weights, left out: {', '.join(done.ignored)} (causal masks)")
    if done.rounded:
        lines.append("numbers of 64 bits were rounded to float32")
    if done.also_fits:
        others = " and ".join(done.also_fits)
        lines.append(f"the file fits {others} as well; nothing in it tells them apart")
    if not tokenizer_was_named:
        lines.append(
            "the shipped tokenizer was assumed; that of the article's notebooks numbers its ids "
            "differently: name theirs with --tokenizer"
        )
    return lines
