"""The `lt-interp` command: every group of commands under one name.

Each command imports what it needs when it runs, so that `lt-interp --help` loads no
deep-learning library.
"""

from __future__ import annotations

from typing import Annotated

import typer

from lt_interp.cli.analyze import analyze
from lt_interp.cli.convert import convert
from lt_interp.cli.evaluate import evaluate
from lt_interp.cli.exits import ExitStatus
from lt_interp.cli.export import export
from lt_interp.cli.generate import generate
from lt_interp.cli.hooks import hooks
from lt_interp.cli.params import params
from lt_interp.cli.quiet import quiet_libraries
from lt_interp.cli.report import report
from lt_interp.cli.stages import stages
from lt_interp.cli.tokenizer import tokenizer
from lt_interp.cli.train import train
from lt_interp.cli.xray import xray

app = typer.Typer(
    cls=ExitStatus,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    stages,
    params,
    hooks,
    evaluate,
    generate,
    xray,
    train,
    convert,
    analyze,
    report,
    export,
):
    app.command()(command)
app.add_typer(tokenizer, name="tokenizer")


def _show_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lt-interp {version('lt-interp')}")
        raise typer.Exit
    return wanted


@app.callback()
def lt_interp(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """A language model built up in thirteen trained stages, every stage open to the same hooks."""


def main() -> None:
    """Run the command that the process was started with, and exit with its status."""
    quiet_libraries()
    app(prog_name="lt-interp")
