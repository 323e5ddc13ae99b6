"""Which stages or checkpoints a command was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lt_interp.errors import InputError

if TYPE_CHECKING:
    from lt_interp.methods.checkpoints import Checkpoint
    from lt_interp.stages import Stage

LARGEST_SEED = 2**32 - 1


def chosen_checkpoints(
    names: Sequence[str] | None, *, all_: bool, family: str | None = None
) -> list[Checkpoint]:
    """Checkpoints to open, in the order of the stages.

    Args:
        names: Names of shipped checkpoints, or folders.
        all_: Whether `--all` was given: every shipped checkpoint of the ladder.
        family: What `--family` said: every shipped checkpoint of that article.

    Raises:
        InputError: More than one of the three or none, an unknown name, or nothing shipped.
    """
    from lt_interp.methods.checkpoints import find_checkpoints
    from lt_interp.training.checkpoint import shipped_checkpoints

    whole = _whole_family(names, all_, family)
    wanted = shipped_checkpoints(family=whole) if whole else list(dict.fromkeys(names or ()))
    if not wanted:
        raise InputError("no trained checkpoint is shipped here; make one with lt-interp train")
    return find_checkpoints(wanted)


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


def _whole_family(names: Sequence[str] | None, all_: bool, family: str | None) -> str | None:
    """The family that is asked for as a whole; `None` where stages are named."""
    from lt_interp.stages import FAMILIES

    asked = {"stages": names, "--all": all_, "--family": family}
    given = [word for word, value in asked.items() if value]
    if len(given) != 1:
        wrong = f"both {' and '.join(given)} were given" if given else "no stage was given"
        raise InputError(f"{wrong}; name stages (lt-interp stages lists them), or --all alone")
    if family and family not in FAMILIES:
        raise InputError(f"there is no family {family!r}; allowed: {', '.join(FAMILIES)}")
    return "ladder" if all_ else family
