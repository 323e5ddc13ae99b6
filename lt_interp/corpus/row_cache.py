"""The cache of token rows: built once by streaming, memory-mapped from then on.

One folder per corpus, tokenizer and width, named by a hash of the three, so that nothing in it can
be stale. It can be deleted at any time; a folder that is not whole is built anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int64, UInt

from lt_interp.corpus.batches import batched
from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError
from lt_interp.files import (
    cache_folder,
    new_folder,
    remove_unfinished,
    sha256_bytes,
    sha256_file,
    write_json,
)
from lt_interp.reading import file_in, read_json

FORMAT = 2
TOKENS, STARTS, KNOWN = "tokens.bin", "story_starts.npy", "files.json"

_log = logging.getLogger(__name__)

Arrays = tuple[UInt[np.ndarray, "n_rows width"], Int64[np.ndarray, " n_stories"]]


def cached_rows(
    corpus: Corpus,
    tokenizer: Tokenizer,
    *,
    width: int,
    progress: Callable[[int, int], None] | None = None,
) -> Arrays:
    """Map the token rows of a corpus and the starts of its stories, building them if need be.

    Args:
        corpus: The stories.
        tokenizer: What encodes them.
        width: Tokens in a row.
        progress: Called while building with the number of stories done and of stories in all.

    Returns:
        Tokens `[n_rows, width]`, and for each story that has a token among them the place of its
        first token in the joined rows.

    Raises:
        InputError: Fewer tokens than one row, or a cache folder that cannot be written.
    """
    entry = _Entry.of(corpus, tokenizer, width)
    arrays = entry.load(entry.folder)
    return _build(entry, corpus, tokenizer, progress) if arrays is None else arrays


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One folder of the cache: what decides its content, and how it is checked and mapped."""

    corpus_sha256: str
    tokenizer_sha256: str
    width: int
    d_vocab: int

    @classmethod
    def of(cls, corpus: Corpus, tokenizer: Tokenizer, width: int) -> _Entry:
        return cls(
            corpus_sha256=corpus.sha256,
            tokenizer_sha256=tokenizer.sha256,
            width=width,
            d_vocab=tokenizer.d_vocab,
        )

    @property
    def dtype(self) -> str:
        """Of the smallest numbers that hold every id."""
        return "<u2" if self.d_vocab <= 2**16 else "<u4"

    @property
    def folder(self) -> Path:
        key = [FORMAT, self.corpus_sha256, self.tokenizer_sha256, self.width]
        return cache_folder() / "rows" / sha256_bytes(json.dumps(key).encode())[:32]

    def load(self, folder: Path) -> Arrays | None:
        """Map a complete folder; None for one that is missing, partial or changed."""
        try:
            known = read_json(file_in(folder, KNOWN))
            if not all(_is_known(folder, name, known) for name in (TOKENS, STARTS)):
                return None
            row_bytes = self.width * np.dtype(self.dtype).itemsize
            shape = ((folder / TOKENS).stat().st_size // row_bytes, self.width)
            tokens = np.memmap(folder / TOKENS, dtype=self.dtype, mode="r", shape=shape)
            starts = np.load(folder / STARTS, mmap_mode="r", allow_pickle=False)
            if tokens.max(initial=0) >= self.d_vocab:
                return None
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return tokens, starts


def _is_known(folder: Path, name: str, known: Any) -> bool:
    """Whether a file is the one that was written, its size looked at first."""
    path = file_in(folder, name)
    same_size = path.stat().st_size == known[name]["bytes"]
    return same_size and sha256_file(path) == known[name]["sha256"]


def _build(
    entry: _Entry,
    corpus: Corpus,
    tokenizer: Tokenizer,
    progress: Callable[[int, int], None] | None,
) -> Arrays:
    arrays = None
    try:
        remove_unfinished(entry.folder.parent)
        with new_folder(entry.folder) as temporary:
            _write(entry, temporary, corpus, tokenizer, progress)
            # Mapped before the rename: what another process does to the cache is then no matter.
            arrays = entry.load(temporary)
    except OSError as error:
        if arrays is None:
            raise InputError(
                f"the token rows cannot be written to {entry.folder} ({error}); set "
                "LT_INTERP_CACHE to a folder with room"
            ) from error
        _log.debug("another process put the same rows into %s: %s", entry.folder, error)
    assert arrays is not None, "rows just written must load"
    return arrays


def _write(
    entry: _Entry,
    folder: Path,
    corpus: Corpus,
    tokenizer: Tokenizer,
    progress: Callable[[int, int], None] | None,
) -> None:
    with (folder / TOKENS).open("wb") as file:
        starts, n_tokens = _write_tokens(file, entry, corpus, tokenizer, progress)
        n_rows = n_tokens // entry.width
        if n_rows == 0:
            raise InputError(
                f"corpus {corpus.name!r} ({corpus.split}) has {n_tokens} tokens, fewer than one "
                f"row of {entry.width}; name a larger corpus"
            )
        file.truncate(n_rows * entry.width * np.dtype(entry.dtype).itemsize)
    starts = starts[starts < n_rows * entry.width]
    np.save(folder / STARTS, starts, allow_pickle=False)
    known = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in (TOKENS, STARTS)
    }
    write_json(folder / KNOWN, known)


def _write_tokens(
    file: BinaryIO,
    entry: _Entry,
    corpus: Corpus,
    tokenizer: Tokenizer,
    progress: Callable[[int, int], None] | None,
) -> tuple[Int64[np.ndarray, " n_stories"], int]:
    """Stream the joined tokens; return where each story starts and how many tokens there are."""
    eos = np.array([tokenizer.eos_id], dtype=np.int32)
    starts, n_tokens, done = [], 0, 0
    for batch in batched(corpus.stories()):
        encoded = [np.concatenate([ids, eos]) for ids in tokenizer.encode_batch(batch)]
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        joined = np.concatenate(encoded)
        assert 0 <= joined.min() <= joined.max() < tokenizer.d_vocab, "id outside the vocabulary"
        file.write(joined.astype(entry.dtype).tobytes())
        starts.append(n_tokens + np.cumsum(lengths) - lengths)
        n_tokens += int(lengths.sum())
        done += len(batch)
        if progress is not None:
            progress(done, corpus.n_stories)
    return np.concatenate(starts), n_tokens
