"""Words of one kind against others that are as frequent: matching, the test and its interval."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from lt_interp.methods.statistics import story_draws

BLOCK = 20  # words of neighbouring frequency that are exchanged for one another
PERMUTATIONS = 9_999


def frequency_blocks(
    count: Int[np.ndarray, " word"], group: Int[np.ndarray, " word"]
) -> Int[np.ndarray, " word"]:
    """Words of one group in blocks of neighbouring frequency, numbered over all groups."""
    order = np.lexsort((count, group))
    block = np.empty(len(count), dtype=np.int64)
    number = -1
    for one in np.unique(group):
        inside = order[group[order] == one]
        pieces = max(1, round(len(inside) / BLOCK))
        for piece in np.array_split(inside, pieces):
            number += 1
            block[piece] = number
    return block


def permutation_test(
    share: Float[np.ndarray, " word"],
    marked: Bool[np.ndarray, " word"],
    strata: Int[np.ndarray, " word"],
    *,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> dict[str, float]:
    """Do marked words have another share than unmarked ones of the same stratum?

    Marks are dealt again within each stratum. The difference weighs each stratum by its marked
    words; every stratum must have words of both kinds.

    Args:
        share: Of each word.
        marked: The words asked about.
        strata: Blocks within which words are exchangeable if the mark means nothing.
        seed: Of the permutations.
        permutations: How many.

    Returns:
        `feeling_share`, `matched_share`, `difference`, the middle 95% of differences under
        permutation, and the two-sided `p`.
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros(permutations)
    for one in np.unique(strata):
        inside = share[strata == one]
        k, m = int(marked[strata == one].sum()), len(inside)
        order = rng.permuted(np.broadcast_to(np.arange(m), (permutations, m)), axis=1)
        mean = inside[order[:, :k]].mean(axis=1)
        rest = (inside.sum() - k * mean) / (m - k)
        drawn += k * (mean - rest)
    drawn /= marked.sum()
    feeling = float(share[marked].mean())
    difference = float(differences(share[None], marked, strata)[0][0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    as_much = int((np.abs(drawn) >= abs(difference) - 1e-12).sum())
    return {
        "feeling_share": feeling, "matched_share": feeling - difference,
        "difference": difference, "null_low": float(low), "null_high": float(high),
        "p": (1 + as_much) / (1 + permutations),
    }  # fmt: skip


def difference_interval(
    sent: Int[np.ndarray, "story word"],
    n: Int[np.ndarray, "story word"],
    marked: Bool[np.ndarray, " word"],
    strata: Int[np.ndarray, " word"],
    *,
    seed: int,
) -> tuple[float, float]:
    """The 95% interval of the difference between marked and other words when stories are resampled.

    It speaks of other stories with the same words; the permutation test speaks of other words. A
    word that a resample lacks keeps its share.

    Args:
        sent: Decisions for the expert asked about.
        n: All decisions.
        marked: The words asked about.
        strata: Blocks of exchangeable words.
        seed: Of the resampling.
    """
    counted = n.any(axis=1)
    sent, n = sent[counted], n[counted]
    if len(n) < 2:
        return float("nan"), float("nan")
    whole = sent.sum(axis=0) / n.sum(axis=0)
    drawn = []
    for times in story_draws(len(n), seed=seed):
        size = times @ n
        shares = np.where(size > 0, times @ sent / np.maximum(size, 1), whole)
        drawn.append(differences(shares, marked, strata)[0])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def differences(
    share: Float[np.ndarray, "draw word"],
    marked: Bool[np.ndarray, " word"],
    strata: Int[np.ndarray, " word"],
) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"]]:
    """The same difference for many routings at once, and its deviation under permutation.

    The deviation is exact: in a stratum of `m` words, `k` of them marked, the difference of means
    has variance `S^2 m / (k (m - k))`, with `S^2` the variance of the shares (Cochran, Sampling
    Techniques, 1977, ch. 2).

    Args:
        share: Of each word, a routing a row.
        marked: The words asked about.
        strata: Blocks of exchangeable words.
    """
    total = np.zeros(len(share))
    variance = np.zeros(len(share))
    for one in np.unique(strata):
        inside, of = share[:, strata == one], marked[strata == one]
        k, m = int(of.sum()), len(of)
        total += k * (inside[:, of].mean(axis=1) - inside[:, ~of].mean(axis=1))
        variance += k * inside.var(axis=1, ddof=1) * m / (m - k)
    n = int(marked.sum())
    return total / n, np.sqrt(variance) / n
