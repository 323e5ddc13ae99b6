"""Which stages or checkpoints a command was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lt_interp.errors import InputError

if TYPE_CHECKING:
    from lt_interp.methods.checkpoints import Checkpoint
    from lt_interp.stages import Stage

LARGEST_SEED = 2**32 - 1


def chosen_checkpoints(names: Sequence[str] | None, *, all_: bool) -> list[Checkpoint]:
    """Checkpoints to open, in the ladder's order.

    Args:
        names: Names of shipped checkpoints, or folders.
        all_: Whether `--all` was given: every shipped checkpoint.

    Raises:
        InputError: Names and `--all` together or neither, an unknown name, or nothing shipped.
    """
    from lt_interp.methods.checkpoints import find_checkpoints
    from lt_interp.training.checkpoint import shipped_checkpoints

    _require_one(names, all_)
    wanted = shipped_checkpoints() if all_ else list(dict.fromkeys(names or ()))
    if not wanted:
        raise InputError("no trained checkpoint is shipped here; make one with lt-interp train")
    return find_checkpoints(wanted)


def chosen_stages(names: Sequence[str] | None, *, all_: bool) -> list[Stage]:
    """Stages to train: the named ones, or the whole ladder.

    Raises:
        InputError: Names and `--all` together or neither, or an unknown name.
    """
    from lt_interp.stages import STAGES, get_stage

    _require_one(names, all_)
    return [get_stage(name) for name in dict.fromkeys(STAGES if all_ else names or ())]


def _require_one(names: Sequence[str] | None, all_: bool) -> None:
    if bool(names) == all_:
        wrong = "both stages and --all were given" if all_ else "no stage was given"
        raise InputError(f"{wrong}; name stages (lt-interp stages lists them), or --all alone")
