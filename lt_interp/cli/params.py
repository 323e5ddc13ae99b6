"""`lt-interp params`: where a stage's parameters are, by component, beside its article's count."""

from __future__ import annotations

from typing import Annotated, Any

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
        from lt_interp.article import article_parameters
        from lt_interp.methods.parameter_table import parameter_table
        from lt_interp.stages import STAGES

        published = article_parameters(name)
        rows = [_row(line, published.get(line.name)) for line in parameter_table(config)]
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
    if not published:
        print_table(columns[:5], [[*row.values()][:5] for row in rows])
        return
    print_table(columns, [[*row.values()][:7] for row in rows])


def _row(line: Any, published: int | None) -> dict[str, Any]:
    """A component as JSON values; the difference is how many more ours has than the article's."""
    return {
        "component": line.name,
        "weights": line.weights,
        "formula": line.formula,
        "numbers": line.numbers,
        "parameters": line.parameters,
        "article_parameters": published,
        "difference": None if published is None else line.parameters - published,
        "in_block": line.in_block,
    }
