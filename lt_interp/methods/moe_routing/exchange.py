"""A shuffle that keeps what the decisions of a story have in common.

Decisions of one story resemble each other, and neighbours do, so an ordinary shuffle calls too much
significant. Here every story is given the decisions of another story of about its length, as a run
that begins anywhere in it and starts over at its end: leanings and runs stay, and the link to the
labels is broken. Lengths are within a factor of two, since a short run that starts over and over
would resemble itself more than any story does.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


class Exchange:
    """Deals whole blocks of decisions to each other, within strata and lengths.

    Attributes:
        order: The places, block by block.

    Example:
        >>> import numpy as np
        >>> deal = Exchange(np.array([0, 0, 0, 7]), np.array([1, 1, 1, 1]))
        >>> sorted(deal.draw(np.random.default_rng(0))[:3].tolist())
        [0, 1, 2]
    """

    def __init__(self, strata: Int[np.ndarray, " n"], blocks: Int[np.ndarray, " n"]) -> None:
        """Prepare.

        Args:
            strata: What a block never leaves.
            blocks: What the decisions of a stratum are exchanged by; a block without another of its
                length is turned like a wheel.
        """
        order = np.lexsort((np.arange(len(strata)), blocks, strata))
        stratum, block = strata[order], blocks[order]
        first = np.ones(len(strata), dtype=bool)
        first[1:] = (stratum[1:] != stratum[:-1]) | (block[1:] != block[:-1])
        start = np.flatnonzero(first)
        size = np.diff(np.append(start, len(strata)))
        self.order = order
        # Arrays of 32 bits: a draw is a few passes over them, repeated hundreds of times.
        self._start, self._size = start.astype(np.int32), size.astype(np.int32)
        self._rank = (np.arange(len(strata)) - np.repeat(start, size)).astype(np.int32)
        length = np.log2(size).astype(np.int64)
        self._alike = np.lexsort((length, stratum[start]))  # those that may exchange, in a row
        alike = np.stack([stratum[start], length])[:, self._alike]
        self._group = np.cumsum(np.r_[0, (np.diff(alike) != 0).any(axis=0)])

    def draw(self, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Whose decision each place gets, both counted in `order`.

        `decisions[exchange.order][exchange.draw(rng)]` are the dealt decisions of the places
        `exchange.order`.
        """
        donor = np.empty_like(self._alike)
        donor[self._alike] = self._alike[np.argsort(self._group + rng.random(len(donor)))]
        start, size = self._start[donor], self._size[donor]
        offset = rng.integers(0, size).astype(np.int32)
        within = (self._rank + np.repeat(offset, self._size)) % np.repeat(size, self._size)
        return np.repeat(start, self._size) + within
