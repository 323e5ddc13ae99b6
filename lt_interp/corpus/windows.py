"""Token rows: every story encoded, followed by `<eos>`, joined and cut into rows of one width.

This is the article's chunking; a last row that is not full is dropped. Where each story begins is
kept beside the rows, because statistics resample stories and not tokens. The rows are mapped from
the cache (`row_cache`), so a corpus may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, Int64, UInt

from lt_interp.corpus.row_cache import cached_rows
from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError

# The article's: the context of 256, so 255 predictions a row.
ROW_WIDTH = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The tokens of a corpus in rows, and the story of every token.

    Attributes:
        tokens: The token ids, memory-mapped and read-only.
        story_starts: Where each story's first token stands in the joined rows, ascending. A story
            that lost all its tokens with the incomplete last row is not among them.
        corpus_name: `Corpus.name`.
        corpus_split: `Corpus.split`.
        corpus_sha256: `Corpus.sha256`.
        tokenizer_sha256: `Tokenizer.sha256`.
    """

    tokens: UInt[np.ndarray, "n_rows width"]
    story_starts: Int64[np.ndarray, " n_stories"]
    corpus_name: str
    corpus_split: str
    corpus_sha256: str
    tokenizer_sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: arrays that are mapped whole from a file go by its name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _mapped_again, ({name: _by_name(value) for name, value in values.items()},)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.tokens.shape[0]

    @property
    def width(self) -> int:
        """How many tokens a row has."""
        return self.tokens.shape[1]

    @property
    def n_stories(self) -> int:
        """How many stories have a token in the rows; their numbers are 0 to `n_stories - 1`."""
        return len(self.story_starts)

    def story_ids(
        self, rows: slice | Sequence[int] | Int[np.ndarray, " n"]
    ) -> Int32[np.ndarray, "n width"]:
        """The number of the story that each token belongs to, counted from 0.

        The `<eos>` after a story belongs to that story.

        Args:
            rows: A slice of the rows, or row numbers from 0 to `n_rows - 1`.

        Returns:
            A story number for every token of the rows asked for.

        Raises:
            IndexError: A row number is out of range, or the rows are a mask.
        """
        if isinstance(rows, slice):
            rows = range(*rows.indices(self.n_rows))
        index = np.asarray(rows)
        if index.dtype == bool:
            raise IndexError("a mask does not number rows; take numpy.flatnonzero of it")
        index = index.astype(np.int64)
        if index.size and not 0 <= index.min() <= index.max() < self.n_rows:
            raise IndexError(f"row numbers run from 0 to {self.n_rows - 1}")
        positions = index[:, None] * self.width + np.arange(self.width)
        return (np.searchsorted(self.story_starts, positions, side="right") - 1).astype(np.int32)


def open_rows(
    corpus: Corpus,
    tokenizer: Tokenizer,
    *,
    width: int = ROW_WIDTH,
    progress: Callable[[int, int], None] | None = None,
) -> Rows:
    """Open the token rows of a corpus, encoding it unless the cache folder has them.

    Args:
        corpus: The stories.
        tokenizer: What encodes them.
        width: Tokens in a row, at least 2: a model reads all but the last and predicts all but
            the first.
        progress: Called while encoding with the number of stories done and of stories in all.

    Returns:
        The rows, memory-mapped.

    Raises:
        InputError: A width below 2, fewer tokens than one row, or a cache folder that cannot be
            written.
    """
    if width < 2:
        raise InputError(f"a row of {width} tokens leaves nothing to predict; take 2 or more")
    tokens, story_starts = cached_rows(corpus, tokenizer, width=width, progress=progress)
    return Rows(
        tokens=tokens,
        story_starts=story_starts,
        corpus_name=corpus.name,
        corpus_split=corpus.split,
        corpus_sha256=corpus.sha256,
        tokenizer_sha256=tokenizer.sha256,
    )


@dataclass(frozen=True)
class _Mapped:
    """A file that an array is mapped from, and how."""

    file: str
    dtype: str
    offset: int
    shape: tuple[int, ...]


def _by_name(value: Any) -> Any:
    """A mapped array as its file's name; anything else, and a part of such an array, as it is."""
    whole = isinstance(value, np.memmap) and isinstance(value.base, mmap)
    if not whole or not Path(str(value.filename)).is_file():  # built and renamed since
        return np.asarray(value) if isinstance(value, np.memmap) else value
    return _Mapped(str(value.filename), value.dtype.str, value.offset, value.shape)


def _mapped_again(values: dict[str, Any]) -> Rows:
    """The rows in the other process."""
    opened: dict[str, Any] = {
        name: np.memmap(value.file, value.dtype, "r", value.offset, value.shape)
        if isinstance(value, _Mapped)
        else value
        for name, value in values.items()
    }
    return Rows(**opened)
