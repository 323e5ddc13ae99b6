"""`lt-interp hooks`: what can be read and changed inside a stage."""

from __future__ import annotations

from typing import Annotated

import typer

from lt_interp.cli.choices import chosen_config
from lt_interp.cli.console import print_table
from lt_interp.cli.progress import bar


def hooks(
    stage: Annotated[str, typer.Argument(help="A stage, or the folder of a checkpoint.")],
) -> None:
    """List a stage's hooks: shape, meaning, what switches on the optional ones, which stages."""
    with bar("reading the stage"):
        from lt_interp.model.hook_table import hook_table
        from lt_interp.stages import stages_with_hook

        rows = [
            [
                hook.name,
                hook.shape,
                hook.meaning,
                hook.opt_in or "always",
                _where(stages_with_hook(hook.name)),
            ]
            for hook in hook_table(chosen_config(stage)[1])
        ]
    print_table(["hook", "shape", "meaning", "fires", "stages"], rows)


def _where(stages: list[str]) -> str:
    from lt_interp.stages import STAGES

    return "all" if len(stages) == len(STAGES) else ", ".join(stages)
