"""Which stages or checkpoints a command was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.errors import InputError

if TYPE_CHECKING:
    from lt_interp.methods.checkpoints import Checkpoint
    from lt_interp.model.config import ModelConfig
    from lt_interp.stages import Stage

LARGEST_SEED = 2**32 - 1
CorpusName = Annotated[
    str,
    typer.Option(help="A file, a folder with train.* and validation.*, a hub id, or embedded."),
]
Device = Annotated[
    str,
    typer.Option(help="Where models compute: cpu, cuda, cuda:1 ...; auto is CUDA if there is one."),
]
Checkpoints = Annotated[
    list[str] | None,
    typer.Option("--stage", "--stages", help="One checkpoint, by name or folder; may be repeated."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Models measured at a time, each in a process with one thread; if not given one a "
        "core, on CUDA one. The results do not depend on it.",
    ),
]


def chosen_checkpoints(
    names: Sequence[str] | None, *, all_: bool, device: str, family: str | None = None
) -> list[Checkpoint]:
    """Checkpoints to open, in the order of the stages.

    Args:
        names: Names of shipped checkpoints, or folders.
        all_: Whether `--all` was given: every shipped checkpoint of the ladder.
        device: What `--device` said.
        family: What `--family` said: every shipped checkpoint of that article.

    Raises:
        InputError: More than one of the three or none, an unknown name, nothing shipped, or no
            such device.
    """
    from lt_interp.methods.checkpoints import find_checkpoints
    from lt_interp.model.device import find_device
    from lt_interp.training.run_folder import shipped_checkpoints

    whole = _whole_family(names, all_, family)
    wanted = shipped_checkpoints(family=whole) if whole else list(dict.fromkeys(names or ()))
    if not wanted:
        raise InputError("no trained checkpoint is shipped here; make one with lt-interp train")
    place = str(find_device(device))
    return [replace(checkpoint, device=place) for checkpoint in find_checkpoints(wanted)]


def chosen_stages(
    names: Sequence[str] | None, *, all_: bool, family: str | None = None
) -> list[Stage]:
    """Stages to train: the named ones, the whole ladder (`--all`), or all of another article.

    Raises:
        InputError: More than one of the three or none, or an unknown name.
    """
    from lt_interp.stages import FAMILIES, get_stage

    whole = _whole_family(names, all_, family)
    return [get_stage(name) for name in dict.fromkeys(FAMILIES[whole] if whole else names or ())]


def chosen_config(stage: str) -> tuple[str, ModelConfig]:
    """A stage's id and its model: of the stage as it is listed, else of a checkpoint.

    Raises:
        InputError: There is no such stage, or the folder holds no checkpoint.
    """
    from lt_interp.stages import STAGES, get_stage
    from lt_interp.training.run_folder import find_checkpoint, read_config, shipped_checkpoints

    if stage in STAGES or not (Path(stage).is_dir() or stage in shipped_checkpoints()):
        return get_stage(stage).id, get_stage(stage).config
    from lt_interp.model.config import ModelConfig

    stored = read_config(find_checkpoint(stage))
    return stored["stage"], ModelConfig.from_dict(stored["model"])


def _whole_family(names: Sequence[str] | None, all_: bool, family: str | None) -> str | None:
    """The family that is asked for as a whole; `None` where stages are named."""
    from lt_interp.stages import require_family

    asked = {"stages": names, "--all": all_, "--family": family}
    given = [word for word, value in asked.items() if value]
    if len(given) != 1:
        wrong = f"both {' and '.join(given)} were given" if given else "no stage was given"
        raise InputError(f"{wrong}; name stages (lt-interp stages lists them), or --all alone")
    if all_:
        return "ladder"
    return require_family(family) if family else None
