"""Other orders of a prefix's tokens: shuffled, or with two neighbours swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lt_interp.methods.position_blindness.prefixes import Prefixes

LONG_SHARE = 5  # the farthest swap is one that a prefix in so many is long enough for


@dataclass(frozen=True, kw_only=True, eq=False)
class Variants:
    """What prefixes are replaced by, of the same length.

    Attributes:
        prefix: Which prefix each stands for.
        tokens: Token ids, what stands right of the prefix's length is never read.
    """

    prefix: Int[np.ndarray, " variant"]
    tokens: Int[np.ndarray, "variant longest"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """The same prefixes in the same other orders, for every model alike.

    Attributes:
        prefixes: Cut from the corpus.
        shuffled: Each with the tokens before its last permuted.
        swapped: Each with two neighbours exchanged.
        distance: Of the exchanged neighbours from the last token.
        others: Other stories' prefixes.
        seed: Of the orders and of the resampling of stories.
    """

    prefixes: Prefixes
    shuffled: Variants
    swapped: Variants
    distance: Int[np.ndarray, " swap"]
    others: Variants
    seed: int


def make_orders(prefixes: Prefixes, *, times: int, distances: Sequence[int], seed: int) -> Orders:
    """Shuffle and exchange.

    Args:
        prefixes: What is put in other orders.
        times: Orders a prefix.
        distances: Of exchanged neighbours from the last token.
        seed: Of the orders.
    """
    swapped, distance = swaps(prefixes, distances=distances)
    return Orders(
        prefixes=prefixes,
        shuffled=permutations(prefixes, keep=1, times=times, seed=seed),
        swapped=swapped,
        distance=distance,
        others=others(prefixes),
        seed=seed,
    )


def permutations(prefixes: Prefixes, *, keep: int, times: int, seed: int) -> Variants:
    """Each prefix with its last tokens kept and those before them in a random other order.

    An order is drawn uniformly and drawn again until the row of ids differs from the prefix, so
    that exchanging equal tokens does not count as a change. A prefix whose tokens before the kept
    ones are all equal, or fewer than two, has no other order and no variant.

    Args:
        prefixes: What is shuffled.
        keep: How many tokens at the end stay where they are, 1 or more.
        times: Orders a prefix.
        seed: Of the orders; another `keep` draws others.
    """
    rng = np.random.default_rng([seed, keep])
    which, rows = [], []
    for prefix, length in enumerate(prefixes.length.tolist()):
        row = prefixes.tokens[prefix]
        if len(np.unique(row[: max(length - keep, 0)])) < 2:
            continue
        for _ in range(times):
            which.append(prefix)
            rows.append(_other_order(row, length - keep, rng))
    return _variants(which, rows, prefixes)


def swaps(
    prefixes: Prefixes, *, distances: Sequence[int]
) -> tuple[Variants, Int[np.ndarray, " variant"]]:
    """The long prefixes with two neighbours exchanged, at every distance.

    Distance `d` exchanges the tokens `d` and `d + 1` places before the last one, which stays; it
    needs a prefix of `d + 2` tokens, and two that differ. Every distance is asked of the same
    prefixes, those long enough for the farthest: in a longer prefix each token weighs less, which
    would pass for an effect of distance.

    Args:
        prefixes: What is changed.
        distances: Which distances, each 1 or more; one that too few prefixes are long enough for
            is left out.

    Returns:
        The changed prefixes and the distance of each.
    """
    which: list[int] = []
    rows: list[Int[np.ndarray, " longest"]] = []
    at: list[int] = []
    few = max(1, len(prefixes.length) // LONG_SHARE)
    asked = [d for d in distances if (prefixes.length >= d + 2).sum() >= few]
    long = np.flatnonzero(prefixes.length >= max(asked, default=0) + 2)
    for distance in asked:
        for prefix in long.tolist():
            length, row = int(prefixes.length[prefix]), prefixes.tokens[prefix]
            near, far = length - 1 - distance, length - 2 - distance
            if row[near] == row[far]:
                continue
            swapped = row.copy()
            swapped[[far, near]] = row[[near, far]]
            which.append(prefix)
            rows.append(swapped)
            at.append(distance)
    return _variants(which, rows, prefixes), np.array(at, dtype=np.int64)


def others(prefixes: Prefixes) -> Variants:
    """For scale, the prefixes of other stories with the same last token."""
    which = np.flatnonzero(prefixes.has_other)
    return Variants(prefix=which, tokens=prefixes.other[which])


def _other_order(
    row: Int[np.ndarray, " longest"], n: int, rng: np.random.Generator
) -> Int[np.ndarray, " longest"]:
    """The row with its first `n` ids in an order that makes a difference."""
    changed = row.copy()
    while (changed == row).all():
        changed[:n] = rng.permutation(row[:n])
    return changed


def _variants(
    which: list[int], rows: list[Int[np.ndarray, " longest"]], prefixes: Prefixes
) -> Variants:
    tokens = np.array(rows, dtype=np.int64).reshape(-1, prefixes.tokens.shape[1])
    return Variants(prefix=np.array(which, dtype=np.int64), tokens=tokens)
