"""GPT-2's byte-level BPE, whole: 50,257 tokens out of one list of merges.

The list determines everything: ids 0..255 are the bytes, id 256 + r is what merge number r makes,
and the last id is `<|endoftext|>`, which text never yields. Source: Radford et al. 2019,
"Language Models are Unsupervised Multitask Learners", and the `vocab.bpe` published with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, pre_tokenizers

from lt_interp.corpus.batches import batched
from lt_interp.errors import InputError
from lt_interp.files import sha256_bytes, write_text
from lt_interp.reading import file_in, read_text

MERGES_FILE = "vocab.bpe"
LICENSE_FILE = "LICENSE"
VERSION_LINE = "#version: 0.2"
END_OF_TEXT = "<|endoftext|>"
MOST_MERGES = 50_001  # with the version line
REMEMBERED = 2**21  # letters of words, after which the memory of their ids begins anew
# No merge reaches across the place before a single space: GPT-2 splits text there first. Asked for
# between ASCII alone, since what else counts as a space differs between libraries.
WORD_START = re.compile(r"(?<=[!-~])(?= [!-~])")


def byte_letters() -> list[str]:
    """GPT-2's printable letter for every byte 0..255: "A" for 65, "Ġ" for a space.

    The bytes that print stand for themselves; the others, in order, get code points from 256 on.
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def check_utf8(texts: Iterable[str]) -> None:
    """Refuse texts that cannot be written as UTF-8.

    Raises:
        InputError: A text holds half of a surrogate pair, which is no character.
    """
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"a text cannot be written as UTF-8 ({error}); remove the character"
            ) from None


class Gpt2Bpe:
    """The full tokenizer, and the only place that cuts text by merges.

    Attributes:
        merges: The 50,000 pairs of token names, strongest first.
        tokens: The 50,257 token names in id order, in byte letters ("Ġlittle").
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the merges of a folder.

        Args:
            folder: A folder that holds `vocab.bpe`: GPT-2's own, or a saved tokenizer.

        Raises:
            InputError: The file is missing or is not a list of merges.
        """
        folder = Path(folder)
        self.merges = _read_merges(file_in(folder, MERGES_FILE))
        licence = file_in(folder, LICENSE_FILE)
        self._licence = read_text(licence) if licence.exists() else None
        self._remembered: dict[str, list[int]] = {}
        self._letters = 0  # of the words that are remembered
        letters = byte_letters()
        # GPT-2 numbers the bytes that print before the others
        first = sorted(letters)
        self.tokens = (*first, *(left + right for left, right in self.merges), END_OF_TEXT)

    @cached_property
    def id_of(self) -> dict[str, int]:
        """The id of every token name."""
        return {token: i for i, token in enumerate(self.tokens)}

    @cached_property
    def fast(self) -> FastTokenizer:
        """The same in the `tokenizers` library, which does the merging."""
        fast = FastTokenizer(models.BPE(vocab=self.id_of, merges=list(self.merges)))
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        return fast

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode texts as GPT-2 does, all of each text as text.

        Args:
            texts: The texts.

        Returns:
            One int32 array of ids 0..50255 a text.

        Raises:
            InputError: A text holds half of a surrogate pair, which is no character.
        """
        check_utf8(texts)
        words = [WORD_START.split(text) for text in texts]
        ids_of = self._ids_of({word for text in words for word in text})
        return [
            np.fromiter(chain.from_iterable(map(ids_of.__getitem__, text)), dtype=np.int32)
            for text in words
        ]

    def _ids_of(self, words: set[str]) -> dict[str, list[int]]:
        """The ids of words, remembered: stories are made of few."""
        if self._letters > REMEMBERED:
            self._remembered, self._letters = {}, 0
        new = list(words - self._remembered.keys())
        self._letters += sum(map(len, new))
        encodings = self.fast.encode_batch_fast(new, add_special_tokens=False)
        self._remembered.update((w, e.ids) for w, e in zip(new, encodings, strict=True))
        return self._remembered

    def count(
        self, stories: Iterable[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Count tokens over stories, in batches so that no corpus need fit in memory.

        Args:
            stories: The stories; the end of a story is not counted.
            progress: Called with the number of stories counted so far, after every batch.

        Returns:
            Int64 [50257]: how often each id occurs.
        """
        counts = np.zeros(len(self.tokens), dtype=np.int64)
        n_stories = 0
        for batch in batched(stories):
            ids = np.concatenate(self.encode_batch(batch))
            counts += np.bincount(ids, minlength=len(self.tokens))
            n_stories += len(batch)
            if progress is not None:
                progress(n_stories)
        return counts

    def save(self, folder: str | Path) -> None:
        """Write the merges, and their licence where one came with them."""
        write_text(Path(folder) / MERGES_FILE, self._merges_text())
        if self._licence is not None:
            write_text(Path(folder) / LICENSE_FILE, self._licence)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the merges, in hexadecimal."""
        return sha256_bytes(self._merges_text().encode())

    def _merges_text(self) -> str:
        return "\n".join([VERSION_LINE, *map(" ".join, self.merges)]) + "\n"


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """The pairs of a `vocab.bpe`: a version line, then one pair a line."""
    if not path.exists():
        raise InputError(f"{path} does not exist; name a folder that holds GPT-2's {MERGES_FILE}")
    lines = read_text(path).splitlines()
    if len(lines) > MOST_MERGES:
        raise InputError(f"{path} has {len(lines):,} lines, GPT-2 has 50,000 merges; restore it")
    known = set(byte_letters())
    merges: list[tuple[str, str]] = []
    for line in lines:
        if line == VERSION_LINE:
            continue
        left, _, right = line.partition(" ")
        # one merge a token, and parts before wholes: then rank order alone decides every cut
        if left not in known or right not in known or left + right in known:
            raise InputError(f"{path} is damaged at merge {len(merges)}: {line!r}; restore it")
        merges.append((left, right))
        known.add(left + right)
    return merges
