"""`lt-interp xray`: one prompt on its way through a stage, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.cli.choices import LARGEST_SEED, Device
from lt_interp.cli.console import note, print_json, print_table
from lt_interp.cli.outputs import require_file_place
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    from lt_interp.methods.result import Result


def xray(
    prompt: Annotated[str, typer.Argument(help="The text to follow.")],
    stage: Annotated[str, typer.Option(help="A shipped checkpoint, or the folder of another.")],
    pos: Annotated[int, typer.Option(help="The position to follow; -1 is the last.")] = -1,
    temperature: Annotated[
        float, typer.Option(help="Divides the logits; 0 takes the likeliest token.")
    ] = 0.8,
    top_p: Annotated[
        float,
        typer.Option(help="Draw among the likeliest tokens that reach this probability."),
    ] = 0.9,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the draw.")] = 0,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Write a page too, this .md file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a prompt's way through a stage: tokenise, embed, attend, think, unembed, decode."""
    if out is not None:
        require_file_place(out, suffix=".md")
    with bar("following the prompt"):
        from lt_interp.methods.xray import xray as follow
        from lt_interp.training.checkpoint import load

        model = load(stage, device=device)
        found = follow(model, prompt, pos=pos, temperature=temperature, top_p=top_p, seed=seed)
        if out is not None:
            from lt_interp.files import write_text
            from lt_interp.report.xray import xray_page

            write_text(out, xray_page(found))
    if as_json:
        print_json({**found.meta, **{name: found.rows(name) for name in found.tables}})
        return
    _print(found)
    if out is not None:
        note(f"{out} has the same as a page")


def _print(found: Result) -> None:
    """The tables, as on the page."""
    from lt_interp.figures.visible import visible
    from lt_interp.report.xray import drawn_text, first_numbers

    for name, columns in _COLUMNS.items():
        rows = found.rows(name)
        for row in rows:
            row["first"] = first_numbers(row) if name == "steps" else ""
            row["token"] = visible(row.get("token", ""))
        if rows:
            print_table(
                list(columns.values()), [[row[column] for column in columns] for row in rows]
            )
            typer.echo()
    typer.echo(drawn_text(found.meta, visible(found.meta["next_token"])))


# The columns of each table that a terminal has room for, and their headings.
_COLUMNS = {
    "tokens": {"pos": "position", "id": "id", "token": "token"},
    "steps": {
        "step": "step", "hook": "hook", "shape": "shape", "norm": "norm", "first": "first numbers",
    },
    "reads": {
        "layer": "layer", "head": "head", "key_pos": "reads", "token": "token", "weight": "weight",
    },
    "next": {
        "rank": "rank", "id": "id", "token": "token", "logit": "logit",
        "probability": "probability", "drawn_with": "drawn with",
    },
}  # fmt: skip
