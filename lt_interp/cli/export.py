"""`lt-interp export`: a stage as a folder that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lt_interp.cli.outputs import require_new_folder
from lt_interp.cli.progress import bar
from lt_interp.errors import InputError

# Said here too, so that --help need not load what writes them; a test holds the two together.
FORMATS = ("hooked-transformer", "hf")


def export(
    stage: Annotated[str, typer.Argument(help="A shipped checkpoint, or the folder of another.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    format: Annotated[
        str, typer.Option(help="hooked-transformer (TransformerLens 3.9.0), or hf (transformers).")
    ] = FORMATS[0],
) -> None:
    """Write a stage for HookedTransformer or for transformers, exactly or not at all."""
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; allowed: {', '.join(FORMATS)}")
    require_new_folder(out)
    with bar("writing the stage"):
        from lt_interp.export.folder import export as write
        from lt_interp.methods.checkpoints import find_checkpoints

        (checkpoint,) = find_checkpoints([stage])
        source = {
            "checkpoint": checkpoint.name,
            "weights_sha256": checkpoint.weights_sha256,
            "card": checkpoint.card,
        }
        write(checkpoint.load(), format=format, out=out, source=source)
    typer.echo(f"{out}: {stage} as {format}")
