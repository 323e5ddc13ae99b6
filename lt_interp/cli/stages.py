"""`lt-interp stages`: every stage as a row of a table, by family."""

from __future__ import annotations

from typing import Annotated

import typer

from lt_interp.cli.console import print_json, print_table
from lt_interp.cli.progress import bar


def stages(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List all stages by family: what each adds, its parameters, and how well it predicts.

    Perplexity is by token, and families read different ones: compare within a family.
    """
    with bar("reading checkpoints"):
        from lt_interp.methods.ladder import ladder

        rows = ladder()
    if as_json:
        print_json(rows)
        return
    columns = ["stage", "family", "adds", "parameters", "tokens seen", "perplexity", "article's"]
    print_table(columns, [list(row.values()) for row in rows])
