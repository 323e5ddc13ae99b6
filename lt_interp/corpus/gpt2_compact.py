"""GPT-2's BPE cut to a small vocabulary: the article's tokenizer.

Text is cut by the full BPE first. The most frequent GPT-2 tokens of a training corpus keep an id of
their own, most frequent first; every other one becomes `<unk>`. The tokens therefore stand exactly
where GPT-2's stand, whatever the vocabulary size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lt_interp.corpus.gpt2_bpe import MERGES_FILE, Gpt2Bpe, byte_letters
from lt_interp.corpus.rewriting import SPLIT_AT_BOUNDARIES, rewriting_rules
from lt_interp.corpus.tokenizer import (
    DEFAULT_TOKENIZER,
    VOCABULARY_FILE,
    Tokenizer,
    new_tokenizer_folder,
)
from lt_interp.corpus.tokenizer_json import BYTE_LEVEL, save_for_transformers
from lt_interp.errors import InputError
from lt_interp.files import trained_folder

SPECIAL_TOKENS = ("<pad>", "<unk>", "<eos>")
_BYTE_OF = {letter: byte for byte, letter in enumerate(byte_letters())}


class Gpt2Compact(Tokenizer):
    """Ids 0 `<pad>`, 1 `<unk>`, 2 `<eos>`, then GPT-2 tokens by frequency.

    Token names are GPT-2's own, in byte letters: "Ġlittle" for " little".
    """

    kind = "gpt2-compact"
    pad_id = 0
    unk_id = 1
    eos_id = 2

    def __init__(
        self,
        kept: Sequence[str],
        *,
        counts: Sequence[int] | None,
        corpus_sha256: str | None,
        bpe: Gpt2Bpe,
    ) -> None:
        """Cut a full BPE.

        Args:
            kept: The GPT-2 token names of ids 3 onwards.
            counts: How often each of them occurred in the corpus; `None` if it is not on record.
            corpus_sha256: SHA-256 of the corpus that was counted; `None` likewise.
            bpe: The full BPE that cuts the text.
        """
        pieces = [name.encode() for name in SPECIAL_TOKENS]
        pieces += [bytes(_BYTE_OF[letter] for letter in token) for token in kept]
        super().__init__((*SPECIAL_TOKENS, *kept), pieces)
        self.counts = None if counts is None else tuple(counts)
        self.corpus_sha256 = corpus_sha256
        self.bpe = bpe
        self._compact = np.full(len(bpe.tokens), self.unk_id, dtype=np.int32)
        for i, token in enumerate(kept, start=len(SPECIAL_TOKENS)):
            self._compact[bpe.id_of[token]] = i

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode texts: GPT-2's ids, looked up in a table."""
        return [self._compact[ids] for ids in self.bpe.encode_batch(texts)]

    def save(self, folder: str | Path) -> None:
        """Write `vocabulary.json`, the full BPE, and the files for `transformers`."""
        with new_tokenizer_folder(folder) as temporary:
            self._write_description(
                temporary,
                corpus_sha256=self.corpus_sha256,
                merges_sha256=self.bpe.sha256,
                counts=None if self.counts is None else list(self.counts),
            )
            self.bpe.save(temporary)
            save_for_transformers(
                temporary,
                self.tokens,
                normalizers=rewriting_rules(self.bpe, self.tokens[len(SPECIAL_TOKENS) :]),
                pre_tokenizer=SPLIT_AT_BOUNDARIES,
                decoder=BYTE_LEVEL,
                special_tokens={"pad": "<pad>", "unk": "<unk>", "eos": "<eos>"},
            )

    @classmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> Gpt2Compact:
        """Open a saved folder; one without the full BPE is cut from the shipped one."""
        path = Path(folder) / VOCABULARY_FILE
        tokens, counts = description["tokens"], description.get("counts")
        kept = tokens[len(SPECIAL_TOKENS) :]
        whole = Path(folder) if (Path(folder) / MERGES_FILE).is_file() else shipped_bpe_folder()
        bpe = Gpt2Bpe(whole)
        if bpe.sha256 != description.get("merges_sha256"):
            raise InputError(f"{whole / MERGES_FILE} is not the one of {path}; restore it")
        if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
            raise InputError(f"{path} is damaged: it must begin with the special tokens")
        foreign = next((token for token in kept if token not in bpe.id_of), None)
        if foreign is not None:
            raise InputError(f"{path} is damaged: GPT-2 has no token {foreign!r}")
        if counts is not None and (not isinstance(counts, list) or len(counts) != len(kept)):
            raise InputError(
                f"{path} is damaged: it needs one count for each of {len(kept)} tokens"
            )
        sha256 = description.get("corpus_sha256")
        known = None if sha256 is None else str(sha256)
        return cls(kept, counts=counts, corpus_sha256=known, bpe=bpe)


def build_gpt2_compact(
    stories: Iterable[str],
    *,
    vocab_size: int,
    corpus_sha256: str,
    bpe_folder: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Gpt2Compact:
    """Cut GPT-2's BPE to the tokens that a corpus uses most.

    Args:
        stories: The training split, a story at a time; the end of a story is not counted.
        vocab_size: How many ids, the three special ones included.
        corpus_sha256: SHA-256 of the corpus, to be recorded.
        bpe_folder: A folder with GPT-2's `vocab.bpe`; the shipped tokenizer's by default.
        progress: Called with the number of stories counted so far, after every 1,000.

    Returns:
        The tokenizer; ids from 3 on are ordered by count, ties by GPT-2 id.

    Raises:
        InputError: The size is impossible, or the corpus has too few distinct tokens for it.
    """
    bpe = Gpt2Bpe(bpe_folder or shipped_bpe_folder())
    largest = len(bpe.tokens) - 1 + len(SPECIAL_TOKENS)  # <|endoftext|> is no text
    if not len(SPECIAL_TOKENS) < vocab_size <= largest:
        raise InputError(f"a vocabulary of {vocab_size} ids is impossible; choose 4 to {largest}")
    counts = bpe.count(stories, progress=progress)
    order = by_frequency(counts)
    n_kept = vocab_size - len(SPECIAL_TOKENS)
    if len(order) < n_kept:
        raise InputError(
            f"the corpus has {len(order)} distinct tokens, which fill only "
            f"{len(order) + len(SPECIAL_TOKENS)} of the {vocab_size} ids asked for; choose a "
            "smaller vocabulary or a larger corpus"
        )
    kept = order[:n_kept]
    names = [bpe.tokens[i] for i in kept]
    return Gpt2Compact(names, counts=counts[kept].tolist(), corpus_sha256=corpus_sha256, bpe=bpe)


def shipped_bpe_folder() -> Path:
    """The folder of the full BPE that comes with the project."""
    return trained_folder() / "tokenizers" / DEFAULT_TOKENIZER


def by_frequency(counts: np.ndarray) -> np.ndarray:
    """Ids that occur at all, most frequent first and ties by id.

    Args:
        counts: Int [n]: how often each id occurred.

    Returns:
        Int [number of ids that occur].
    """
    order = np.argsort(-counts, kind="stable")  # stable: equal counts stay in id order
    return order[: np.count_nonzero(counts)]
