"""The two tokenizers without merges: one id a byte, and one id a character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lt_interp.corpus.gpt2_bpe import byte_letters, check_utf8
from lt_interp.corpus.tokenizer import VOCABULARY_FILE, Tokenizer, new_tokenizer_folder
from lt_interp.corpus.tokenizer_json import (
    BYTE_LEVEL,
    BYTE_LEVEL_NORMALIZER,
    SPLIT_EVERYWHERE,
    save_for_transformers,
)
from lt_interp.errors import InputError

SPECIAL_TOKENS = ("<pad>", "<unk>", "<eos>")


class ByteTokenizer(Tokenizer):
    """Id = byte of the text's UTF-8: 256 ids and nothing unknown.

    No id is left over for the end of a story, so the NUL byte, which text has no use for, ends
    stories and fills rows; a text that contains it is refused.
    """

    kind = "byte"
    pad_id = 0
    unk_id = None
    eos_id = 0

    def __init__(self) -> None:
        """Make the one byte tokenizer there is; tokens are named by GPT-2's byte letters."""
        super().__init__(byte_letters(), [bytes([b]) for b in range(256)])

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode texts as their UTF-8 bytes.

        Raises:
            InputError: A text holds NUL, or half of a surrogate pair.
        """
        check_utf8(texts)
        if any("\0" in text for text in texts):
            raise InputError(
                "a text holds the NUL character, which ends a story here; remove it from the text"
            )
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def save(self, folder: str | Path) -> None:
        """Write `vocabulary.json` and the files for `transformers`."""
        with new_tokenizer_folder(folder) as temporary:
            self._write_description(temporary)
            save_for_transformers(
                temporary,
                self.tokens,
                normalizers=[BYTE_LEVEL_NORMALIZER],
                pre_tokenizer=SPLIT_EVERYWHERE,
                decoder=BYTE_LEVEL,
                special_tokens={"pad": self.tokens[0], "eos": self.tokens[0]},
            )

    @classmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> ByteTokenizer:
        """Open a saved folder; nothing in it can differ from the one byte tokenizer."""
        return cls()


class CharacterTokenizer(Tokenizer):
    """Ids 0 `<pad>`, 1 `<unk>`, 2 `<eos>`, then characters by frequency in a corpus."""

    kind = "character"
    pad_id = 0
    unk_id = 1
    eos_id = 2

    def __init__(
        self, characters: Sequence[str], *, counts: Sequence[int], corpus_sha256: str
    ) -> None:
        """Take the characters of ids 3 onwards.

        Args:
            characters: One character each, no two the same.
            counts: How often each occurred in the corpus.
            corpus_sha256: SHA-256 of the corpus that was counted.
        """
        tokens = (*SPECIAL_TOKENS, *characters)
        super().__init__(tokens, [token.encode() for token in tokens])
        self.counts = tuple(counts)
        self.corpus_sha256 = corpus_sha256
        self._id_of = {character: i for i, character in enumerate(tokens)}

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode texts character by character; an unseen character is `<unk>`."""
        check_utf8(texts)
        find, unknown = self._id_of.get, self.unk_id
        return [np.array([find(c, unknown) for c in text], dtype=np.int32) for text in texts]

    def save(self, folder: str | Path) -> None:
        """Write `vocabulary.json` and the files for `transformers`."""
        with new_tokenizer_folder(folder) as temporary:
            self._write_description(
                temporary, corpus_sha256=self.corpus_sha256, counts=list(self.counts)
            )
            save_for_transformers(
                temporary,
                self.tokens,
                normalizers=[],
                pre_tokenizer=SPLIT_EVERYWHERE,
                decoder={"type": "Fuse"},
                special_tokens={"pad": "<pad>", "unk": "<unk>", "eos": "<eos>"},
            )

    @classmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> CharacterTokenizer:
        """Open a saved folder."""
        path = Path(folder) / VOCABULARY_FILE
        n_special = len(SPECIAL_TOKENS)
        special, characters = description["tokens"][:n_special], description["tokens"][n_special:]
        counts = description.get("counts")
        if tuple(special) != SPECIAL_TOKENS or any(len(c) != 1 for c in characters):
            raise InputError(f"{path} is damaged: special tokens and single characters are needed")
        if not isinstance(counts, list) or len(counts) != len(characters):
            raise InputError(f"{path} is damaged: it needs one count for each character")
        sha256 = str(description.get("corpus_sha256"))
        return cls(characters, counts=counts, corpus_sha256=sha256)


def build_character(
    stories: Iterable[str], *, corpus_sha256: str, vocab_size: int | None = None
) -> CharacterTokenizer:
    """Give every character of a corpus an id.

    Args:
        stories: The training split, a story at a time.
        corpus_sha256: SHA-256 of the corpus, to be recorded.
        vocab_size: How many ids, the three special ones included; all that occur by default.

    Returns:
        The tokenizer; ids from 3 on are ordered by count, ties by code point.

    Raises:
        InputError: The size is below 4, or the corpus has too few distinct characters for it.
    """
    counts: Counter[str] = Counter()
    for story in stories:
        counts.update(story)
    check_utf8(counts)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    largest = len(ranked) + len(SPECIAL_TOKENS)
    size = largest if vocab_size is None else vocab_size
    if not len(SPECIAL_TOKENS) < size <= largest:
        raise InputError(
            f"a vocabulary of {size} ids is impossible: it needs 4 or more, and the corpus has "
            f"{len(ranked)} distinct characters for {largest} at most; choose another size or a "
            "larger corpus"
        )
    kept = ranked[: size - len(SPECIAL_TOKENS)]
    chosen = [counts[character] for character in kept]
    return CharacterTokenizer(kept, counts=chosen, corpus_sha256=corpus_sha256)
