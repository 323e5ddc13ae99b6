"""How often each story sends each token to each expert: the table that intervals resample.

It has a cell for every token of every story and so grows with the corpus. Finished stories
therefore wait in a temporary file and are read back a piece at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lt_interp.methods.moe_routing.contingency import summed

PIECE_CELLS = 2**16  # read back at once: some 600 stories, 1.5 MB with two layers of two experts


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """The cells of some whole stories.

    Attributes:
        story: Of each cell, ascending.
        token: Of each cell.
        counts: Decisions of the cell by expert, of every layer.
    """

    story: Int[np.ndarray, " cell"]
    token: Int[np.ndarray, " cell"]
    counts: Int[np.ndarray, "cell column"]

    def dense(
        self, place: Int[np.ndarray, " d_vocab"], counts: Int[np.ndarray, " cell"], *, n: int
    ) -> Float[np.ndarray, "story n"]:
        """Some counts as a table of stories, those left out that have none of the tokens.

        Args:
            place: The column of every token id, -1 for one that is left out.
            counts: Of each cell.
            n: Columns.
        """
        some = np.flatnonzero(place[self.token] >= 0)
        stories, row = np.unique(self.story[some], return_inverse=True)
        table = np.zeros((len(stories), n))
        table[row, place[self.token[some]]] = counts[some]
        return table


class StoryTokens:
    """Counts by story and token, added in the order of the stories."""

    def __init__(self, *, d_vocab: int, n_columns: int) -> None:
        """Begin with nothing.

        Args:
            d_vocab: Number of token ids.
            n_columns: Experts of all layers.
        """
        self._d_vocab = d_vocab
        self._waiting = [(np.zeros(0, np.int64), np.zeros((0, n_columns), np.int32))]
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._n_stored = 0

    def add(
        self,
        story: Int[np.ndarray, " n"],
        token: Int[np.ndarray, " n"],
        hit: Bool[np.ndarray, "n column"],
    ) -> None:
        """Count decisions; their stories are none that came before the last one added.

        Args:
            story: Of each.
            token: Of each.
            hit: The columns that it counts in.
        """
        self._waiting.append(summed(story.astype(np.int64) * self._d_vocab + token, hit))
        if sum(len(keys) for keys, _ in self._waiting) > PIECE_CELLS:
            keys, counts = self._merged()
            finished = int(np.searchsorted(keys, keys[-1] // self._d_vocab * self._d_vocab))
            self._waiting = [(keys[finished:], counts[finished:])]
            for array in (keys[:finished], counts[:finished]):
                np.save(self._file, array, allow_pickle=False)
            self._n_stored += 1

    def pieces(self) -> Iterator[Piece]:
        """All cells, some stories at a time."""
        place = 0
        for _ in range(self._n_stored):
            self._file.seek(place)
            keys, counts = (np.load(self._file, allow_pickle=False) for _ in range(2))
            place = self._file.tell()
            yield self._piece(keys, counts)
        self._file.seek(0, 2)
        yield self._piece(*self._merged())

    def votes(self) -> tuple[Int[np.ndarray, " d_vocab"], Int[np.ndarray, " d_vocab"]]:
        """Of each token: the stories that have it, and the sum of their squared occurrences.

        A column of `counts` for every expert of every layer counts each occurrence once a layer;
        the squares are of what `counts` sums to.
        """
        stories, squares = np.zeros(self._d_vocab, np.int64), np.zeros(self._d_vocab)
        for piece in self.pieces():
            times = piece.counts.sum(axis=1, dtype=np.int64)
            stories += np.bincount(piece.token, minlength=self._d_vocab)
            squares += np.bincount(piece.token, np.square(times), minlength=self._d_vocab)
        return stories, squares.astype(np.int64)

    def _merged(self) -> tuple[np.ndarray, np.ndarray]:
        """What waits, as one part of distinct cells."""
        if len(self._waiting) > 1:
            keys, counts = (np.concatenate(parts) for parts in zip(*self._waiting))
            self._waiting = [summed(keys, counts)]
        return self._waiting[0]

    def _piece(self, keys: np.ndarray, counts: np.ndarray) -> Piece:
        story, token = np.divmod(keys, self._d_vocab)
        return Piece(story=story, token=token, counts=counts)
