"""Does a router part the words that tell a story from the words of structure?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import permutation_test

from lt_interp.methods.moe_routing.by_token import LEAST
from lt_interp.methods.moe_routing.tally import Tallied
from lt_interp.methods.routing_names import STORY, STRUCTURE

PERMUTATIONS = 9_999
FEWEST = 5  # tokens of either kind

STORY_STRUCTURE = {
    "layer": str, "expert": int, "story_share": float, "structure_share": float,
    "difference": float, "p": float, "random_router_abs_difference": float,
    "random_routers_as_far": float, "load": float, "n_story": int, "n_structure": int,
    "n_draws": int,
}  # fmt: skip


def story_structure_rows(
    one: Tallied,
    tokens: Sequence[str],
    classes: Sequence[str],
    random: Int[np.ndarray, "draw d_vocab expert"],
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """The two kinds' mean shares of every expert but the first; with two experts one says it all.

    p is two-sided, by permuting which tokens are of which kind. Random routers say how far a plane
    that knows nothing of stories parts the kinds.

    Args:
        one: A set of decisions.
        tokens: The text of every token id.
        classes: The class of every token id.
        random: How often each random router sends every token id to each expert.
        seed: Of the permutations.
    """
    sent = one.token_counts()
    common = sent.sum(axis=1) >= LEAST
    story, structure = (np.flatnonzero(common & kind) for kind in kinds(tokens, classes))
    if min(len(story), len(structure)) < FEWEST:
        return []
    rows = []
    for expert in range(1, one.n_experts):
        drawn = _apart(_shares(random[:, story], expert), _shares(random[:, structure], expert))
        of_story, of_structure = _shares(sent[story], expert), _shares(sent[structure], expert)
        difference = float(_apart(of_story, of_structure))
        far = np.abs(drawn) >= abs(difference) - 1e-12
        rows.append({
            "layer": one.name, "expert": expert, "story_share": float(of_story.mean()),
            "structure_share": float(of_structure.mean()), "difference": difference,
            "p": difference_p(of_story, of_structure, seed=seed),
            "random_router_abs_difference": float(np.abs(drawn).mean()),
            "random_routers_as_far": float(far.mean()), "load": float(one.loads()[expert]),
            "n_story": len(story), "n_structure": len(structure), "n_draws": len(drawn),
        })  # fmt: skip
    return rows


def kinds(
    tokens: Sequence[str], classes: Sequence[str]
) -> tuple[Bool[np.ndarray, " d_vocab"], Bool[np.ndarray, " d_vocab"]]:
    """Which token ids tell a story, and which are of structure.

    Pronouns and the function words that open a sentence are of neither kind: the article has "She",
    "Her", "But", "So" and "When" on the side of the story.

    Args:
        tokens: The text of every token id.
        classes: The class of every token id.
    """
    opens = np.array([text.strip()[:1].isupper() for text in tokens], dtype=bool)
    return np.isin(classes, STORY), np.isin(classes, STRUCTURE) & ~opens


def difference_p(
    story: Float[np.ndarray, " story"], structure: Float[np.ndarray, " structure"], *, seed: int
) -> float:
    """Two-sided p of equal means, by permuting which shares are of which kind."""
    rng = np.random.default_rng(seed)
    found = permutation_test((story, structure), _apart, n_resamples=PERMUTATIONS, rng=rng)
    return float(found.pvalue)


def _shares(sent: Int[np.ndarray, "*draw token expert"], expert: int) -> Float[np.ndarray, "..."]:
    """The share of each token's decisions that an expert gets."""
    return sent[..., expert] / sent.sum(axis=-1)


def _apart(
    story: Float[np.ndarray, "... story"],
    structure: Float[np.ndarray, "... structure"],
    axis: int = -1,
) -> Any:
    """The difference of the mean shares."""
    return story.mean(axis=axis) - structure.mean(axis=axis)
