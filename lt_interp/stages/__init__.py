"""Every model of the project as one row, by family, each grown from another by a few fields."""

from __future__ import annotations

import difflib

from lt_interp.errors import InputError
from lt_interp.model.hook_table import hook_table
from lt_interp.stages.char_ablations import CHAR_ABLATIONS
from lt_interp.stages.four_layer_gpt import FOUR_LAYER_GPT
from lt_interp.stages.ladder import LADDER
from lt_interp.stages.numpy_gpt import NUMPY_GPT
from lt_interp.stages.stage import Stage, evolve

__all__ = [
    "FAMILIES", "LADDER", "STAGES", "Stage", "evolve", "get_stage", "require_family",
    "stages_with_hook",
]  # fmt: skip

FAMILIES: dict[str, dict[str, Stage]] = {
    "ladder": LADDER,
    "numpy_gpt": NUMPY_GPT,
    "char_ablations": CHAR_ABLATIONS,
    "four_layer_gpt": FOUR_LAYER_GPT,
}
"""The rows of each article, the ladder's first."""

STAGES: dict[str, Stage] = {
    stage.id: stage for family in FAMILIES.values() for stage in family.values()
}
"""All of them."""


def require_family(name: str) -> str:
    """The name, if it is a family's.

    Raises:
        InputError: It is none; the message lists them.
    """
    if name not in FAMILIES:
        raise InputError(f"there is no family {name!r}; allowed: {', '.join(FAMILIES)}")
    return name


def get_stage(name: str) -> Stage:
    """The stage of that id.

    Raises:
        InputError: There is none; the message lists the nearest names.
    """
    if name in STAGES:
        return STAGES[name]
    near = difflib.get_close_matches(name, STAGES, n=3, cutoff=0.3) or list(STAGES)
    raise InputError(f"there is no stage {name!r}; nearest: {', '.join(near)}")


def stages_with_hook(name: str) -> list[str]:
    """Ids of the stages that have a hook, e.g. of `"blocks.1.attn.hook_pattern"`."""
    return [
        stage.id
        for stage in STAGES.values()
        if any(hook.name == name for hook in hook_table(stage.config))
    ]
