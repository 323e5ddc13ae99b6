"""The baseline of a patch: the same place, filled from a prompt with another answer.

A patch changes a run in two ways: it carries what the source knows, and it takes away what the
target knew. Wiping the corrupt answer out is enough to move the logit difference half the way to
the clean run. So every patch is set beside the same patch from a wrong donor: a prompt of the same
template, equally long and equally built, whose answer is not the one that the patch should bring.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.activation_patching.run import Run


def donor_rows(
    group: PairGroup, *, of_clean: bool, rng: np.random.Generator
) -> Int[np.ndarray, " pair"] | None:
    """A wrong donor for every pair of a template.

    Args:
        group: The pairs.
        of_clean: Whether the patch should bring the clean answer; otherwise the corrupt one.
        rng: Which of the possible donors it is.

    Returns:
        Rows of the clean prompts followed by the corrupt ones; `None` if a pair has no donor.
    """
    allowed = allowed_donors(group, of_clean=of_clean).numpy()
    if not allowed.any(axis=1).all():
        return None
    return np.array([int(rng.choice(np.flatnonzero(row))) for row in allowed])


def allowed_donors(group: PairGroup, *, of_clean: bool) -> Bool[Tensor, "pair prompt"]:
    """Which prompts, clean ones first, may stand in for the source of each pair.

    Those of other pairs, with another answer than the source's, and not the target itself.
    """
    prompts = torch.cat([group.clean, group.corrupt])
    given = torch.cat([group.answers[:, 0], group.answers[:, 1]])
    wanted = group.answers[:, 0 if of_clean else 1]
    target = group.corrupt if of_clean else group.clean
    other_answer = given[None] != wanted[:, None]
    is_target = (prompts[None] == target[:, None]).all(dim=-1)
    return other_answer & ~is_target


def donor_activations(
    clean: Run, corrupt: Run, rows: Int[np.ndarray, " pair"]
) -> dict[str, Tensor]:
    """The donors' activations, a row a pair."""
    places = torch.from_numpy(rows)
    return {
        name: torch.cat([clean.activations[name], corrupt.activations[name]])[places]
        for name in clean.activations
    }
