"""What is printed where: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Wide enough for any table: a file or a pipe gets every row on one line, nothing cut.
_UNLIMITED_COLUMNS = 100_000


def print_json(value: Any) -> None:
    """Print one JSON document on standard output; NaN and infinity are refused."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on standard output, numbers to the right.

    Args:
        columns: The headings.
        rows: One value a column: text is shown as it is, whole numbers with thousands separated,
            other numbers with at least four figures, `None` as a dash.
    """
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, heading in enumerate(columns):
        numeric = all(isinstance(row[i], int | float | None) for row in rows)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    width = None if sys.stdout.isatty() else _UNLIMITED_COLUMNS
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def note(text: str) -> None:
    """Print a line on standard error, exactly as it is."""
    typer.echo(text, err=True)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:#.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
