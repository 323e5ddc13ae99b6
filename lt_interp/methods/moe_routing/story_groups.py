"""How sure a figure is that no mean over stories gives: leave out groups of stories in turn.

Information is no mean, so resampling sums does not serve, and drawing stories with replacement
would repeat them, which adds information that is not there. The delete-a-group jackknife leaves
out one of 20 groups of stories at a time (Kott, J. Off. Stat. 17 (2001), 521); its interval is
Student's with as many degrees of freedom as groups less one.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t

GROUPS = 20
LEVEL = 0.95


def left_out_counts(
    story: Int[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    expert: Int[np.ndarray, " n"],
    *,
    n_labels: int,
    n_experts: int,
) -> Int[np.ndarray, "group label expert"]:
    """Counts of label and expert without each group of stories.

    Stories are dealt to the groups in turn; fewer than 20 make a group each.

    Args:
        story: Of each decision.
        label: Of each decision.
        expert: It went to.
        n_labels: Number of labels.
        n_experts: Number of experts.
    """
    stories, place = np.unique(story, return_inverse=True)
    n_groups = max(1, min(GROUPS, len(stories)))
    shape = (n_groups, n_labels, n_experts)
    code = np.ravel_multi_index((place % n_groups, label, expert), shape)
    counts = np.bincount(code, minlength=int(np.prod(shape))).reshape(shape)
    return counts.sum(axis=0) - counts


def half_width(left_out: Float[np.ndarray, " group"]) -> float | None:
    """Half of the 95% interval of a figure, from the figure without each group.

    Args:
        left_out: The figure, a group of stories left out each time.

    Returns:
        `None` with a single group, which leaves nothing.

    Example:
        >>> half_width(np.array([1.0, 1.0, 1.0]))
        0.0
    """
    n = len(left_out)
    if n < 2:
        return None
    error = np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum())
    return float(t.ppf((1 + LEVEL) / 2, n - 1) * error)


def ends(value: float, left_out: Float[np.ndarray, " group"]) -> tuple[float | None, float | None]:
    """The interval about a figure; none with stories too few for one."""
    half = half_width(left_out)
    return (None, None) if half is None else (value - half, value + half)
