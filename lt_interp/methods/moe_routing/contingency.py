"""Counts of labels and experts by group of stories, kept sparse and added to a part at a time.

Mutual information needs `sum of N log N` over the cells of a table. Leaving out a group of stories
changes only the cells that the group has, so every left-out sum is the whole sum less what those
cells lose: the cost is that of the cells there are, not of groups times labels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import xlogy

from lt_interp.methods.moe_routing.story_groups import GROUPS

PENDING = 2**16  # cells that may wait to be merged: 1.5 MB with two layers of two experts


class Contingency:
    """How often every label went to every expert, in every group of stories.

    Stories must come in ascending order; they are dealt to the groups in turn.
    """

    def __init__(self, *, n_columns: int, n_stories: int) -> None:
        """Begin with nothing.

        Args:
            n_columns: Counts of each label: an expert each, of every layer.
            n_stories: In the corpus.
        """
        self._cells: list[np.ndarray] = [np.zeros(0, np.int64)]
        self._counts: list[np.ndarray] = [np.zeros((0, n_columns), np.int32)]
        self._pending = 0
        self._rank = np.full(n_stories, -1, np.int32)
        self._n_ranked = 0

    def add(
        self,
        label: Int[np.ndarray, " n"],
        story: Int[np.ndarray, " n"],
        hit: Bool[np.ndarray, "n column"],
    ) -> None:
        """Count some decisions.

        Args:
            label: Of each, from 0.
            story: Of each.
            hit: The columns that it counts in.
        """
        seen = np.unique(story)
        new = seen[self._rank[seen] < 0]
        self._rank[new] = self._n_ranked + np.arange(len(new))
        self._n_ranked += len(new)
        cells, counts = summed(label.astype(np.int64) * GROUPS + self._rank[story] % GROUPS, hit)
        self._cells.append(cells)
        self._counts.append(counts)
        self._pending += len(cells)
        if self._pending > max(PENDING, len(self._cells[0])):  # each merge doubles, at least
            self._merge()

    def table(
        self, columns: list[Int[np.ndarray, " expert"]] | None = None
    ) -> tuple[Int[np.ndarray, " cell"], Int[np.ndarray, " cell"], Int[np.ndarray, "cell expert"]]:
        """Label, group and counts of every cell.

        Args:
            columns: Of each layer that is pooled, where its experts' counts stand; all as they
                stand without.
        """
        self._merge()
        cells, counts = self._cells[0], self._counts[0].astype(np.int64)
        pooled = counts if columns is None else np.sum([counts[:, one] for one in columns], axis=0)
        return cells // GROUPS, cells % GROUPS, pooled

    @property
    def n_groups(self) -> int:
        """Groups of stories; fewer than 20 stories make a group each."""
        return max(1, min(GROUPS, self._n_ranked))

    def _merge(self) -> None:
        if len(self._cells) > 1:
            cells, counts = summed(np.concatenate(self._cells), np.concatenate(self._counts))
            self._cells, self._counts, self._pending = [cells], [counts], 0


def summed(
    keys: Int[np.ndarray, " n"], values: np.ndarray
) -> tuple[Int[np.ndarray, " cell"], Int[np.ndarray, "cell column"]]:
    """The distinct keys, ascending, and the sums of their values."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(first):
        return keys, values.astype(np.int32)
    return keys[first], np.add.reduceat(values[order], first, axis=0, dtype=np.int32)


def left_out_information_nats(
    label: Int[np.ndarray, " cell"],
    group: Int[np.ndarray, " cell"],
    counts: Int[np.ndarray, "cell expert"],
    *,
    n_groups: int,
) -> tuple[float, Float[np.ndarray, " group"]]:
    """Mutual information between label and expert: of all, and without each group of stories.

    Args:
        label: Of each cell, ascending.
        group: Of each cell.
        counts: How often the cell's label went to each expert in the cell's group.
        n_groups: With a single one, which leaves nothing to count, all is counted.

    Example:
        >>> one, two = np.array([0, 1]), np.array([0, 0])
        >>> left_out_information_nats(one, two, np.array([[5, 0], [0, 5]]), n_groups=1)[0]
        0.6931471805599453
    """
    if not len(label):
        return 0.0, np.zeros(n_groups)
    first = np.flatnonzero(np.diff(label, prepend=-1))
    of_label = np.add.reduceat(counts, first, axis=0)
    whole = of_label[np.cumsum(np.diff(label, prepend=-1) > 0) - 1]
    lost = np.bincount(group, _terms(whole) - _terms(whole - counts), minlength=n_groups)
    of_group = group_totals(group, counts, n_groups=n_groups)
    everything = of_group.sum(axis=0)
    total = float(_terms(of_label).sum())
    alone = 0 if n_groups == 1 else 1
    left_out = _information(total - alone * lost, everything - alone * of_group)
    return float(_information(np.array(total), everything)), left_out


def group_totals(
    group: Int[np.ndarray, " cell"], counts: Int[np.ndarray, "cell expert"], *, n_groups: int
) -> Int[np.ndarray, "group expert"]:
    """Decisions of each group of stories for each expert."""
    totals = [np.bincount(group, of_expert, minlength=n_groups) for of_expert in counts.T]
    return np.stack(totals, axis=1).astype(np.int64)


def _terms(counts: Int[np.ndarray, "*any expert"]) -> Float[np.ndarray, "*any"]:
    """`sum over experts of N log N`, less `N log N` of their sum."""
    size = counts.sum(axis=-1)
    return np.asarray(xlogy(counts, counts).sum(axis=-1) - xlogy(size, size))


def _information(
    terms: Float[np.ndarray, "*any"], experts: Int[np.ndarray, "*any expert"]
) -> Float[np.ndarray, "*any"]:
    """From the sum of `_terms` over labels and the counts of the experts."""
    n = experts.sum(axis=-1)
    return np.asarray(np.maximum((terms - _terms(experts)) / np.maximum(n, 1), 0.0))
