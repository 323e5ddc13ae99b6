"""`lt-interp params`: where a stage's parameters are, by component, beside its article's count."""

from __future__ import annotations

from typing import Annotated

import typer

from lt_interp.cli.choices import chosen_config
from lt_interp.cli.console import print_json, print_table
from lt_interp.cli.progress import bar


def params(
    stage: Annotated[str, typer.Argument(help="A stage, or the folder of a checkpoint.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count a stage's parameters by component, with formulas, beside what its article counts.

    The parts of a block are counted for one block; `all blocks` has them all.
    """
    with bar("reading the stage"):
        name, config = chosen_config(stage)
        from lt_interp.methods.parameter_table import compared
        from lt_interp.stages import STAGES

        rows = list(compared(name, config))
    if as_json:
        family = STAGES[name].family if name in STAGES else None
        print_json({"id": name, "family": family, "components": rows})
        return
    columns = [
        "component",
        "weights",
        "formula",
        "numbers",
        "parameters",
        "article's",
        "difference",
    ]
    if all(row["article_parameters"] is None for row in rows):
        print_table(columns[:5], [[*row.values()][:5] for row in rows])
        return
    print_table(columns, [[*row.values()][:7] for row in rows])
