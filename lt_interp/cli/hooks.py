"""`lt-interp hooks`: what can be read and changed inside a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.cli.console import print_table
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    from lt_interp.model.config import ModelConfig


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
            for hook in hook_table(_config(stage))
        ]
    print_table(["hook", "shape", "meaning", "fires", "stages"], rows)


def _where(stages: list[str]) -> str:
    from lt_interp.stages import STAGES

    return "all" if len(stages) == len(STAGES) else ", ".join(stages)


def _config(stage: str) -> ModelConfig:
    """The model of a stage's name, or of a checkpoint's folder."""
    if not Path(stage).is_dir():
        from lt_interp.stages import get_stage

        return get_stage(stage).config
    from lt_interp.model.config import ModelConfig
    from lt_interp.training.checkpoint import read_config

    return ModelConfig.from_dict(read_config(Path(stage))["model"])
