"""Text to ids and back: the one interface of every tokenizer, and how a saved one is opened."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lt_interp.errors import InputError
from lt_interp.files import new_folder, sha256_file, trained_folder, write_json
from lt_interp.reading import file_in, format_version, read_json, require_small

if TYPE_CHECKING:
    from lt_interp.corpus.sources import Corpus

VOCABULARY_FILE = "vocabulary.json"
DEFAULT_TOKENIZER = "tinystories-4096"


class Tokenizer(ABC):
    """A fixed list of tokens, and the rule that cuts text into them.

    Text is only ever text: a story that contains the words `<|endoftext|>` or `<eos>` is encoded
    like any other story, and no special id comes out of `encode` except `unk_id`.

    Attributes:
        kind: "gpt2-compact", "byte" or "character".
        tokens: The name of every id, unique, in id order; this list is the tokenizer's identity.
        str_tokens: The text of every id as it decodes alone, e.g. " little".
        d_vocab: How many ids there are.
        pad_id: The id that fills a row, or None.
        unk_id: The id of whatever has no id of its own, or None where everything has one.
        eos_id: The id that ends a story.
        sha256: SHA-256 over `kind` and `tokens`, in hexadecimal; files do not enter it.
    """

    kind: ClassVar[str]
    pad_id: int | None
    unk_id: int | None
    eos_id: int

    def __init__(self, tokens: Sequence[str], pieces: Sequence[bytes]) -> None:
        """Take the list of tokens.

        Args:
            tokens: The name of every id, in id order.
            pieces: The UTF-8 bytes, possibly a part of a character, that every id stands for.
        """
        self.tokens = tuple(tokens)
        self._pieces = tuple(pieces)
        self.str_tokens = tuple(piece.decode("utf-8", errors="replace") for piece in pieces)
        self.d_vocab = len(self.tokens)
        identity = json.dumps([self.kind, self.tokens], ensure_ascii=True)
        self.sha256 = hashlib.sha256(identity.encode("ascii")).hexdigest()

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode many texts, without any special id around them.

        Args:
            texts: The texts; none is stripped or otherwise altered.

        Returns:
            One int32 array of ids a text.

        Raises:
            InputError: A text holds something that this tokenizer cannot express.
        """

    def encode(self, text: str) -> list[int]:
        """Encode one text; see `encode_batch`."""
        return self.encode_batch([text])[0].tolist()

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids: their bytes joined, then read as UTF-8.

        Args:
            ids: Ids in 0..d_vocab-1. Special ids decode as their names, e.g. "<eos>".

        Returns:
            The text; bytes that are not UTF-8 become U+FFFD.

        Raises:
            InputError: An id is outside the vocabulary.
        """
        ids = [int(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < self.d_vocab), None)
        if wrong is not None:
            raise InputError(f"token id {wrong} is outside the vocabulary 0..{self.d_vocab - 1}")
        return b"".join(self._pieces[i] for i in ids).decode("utf-8", errors="replace")

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write a folder that `load_tokenizer` and `PreTrainedTokenizerFast` open.

        Args:
            folder: Where; a tokenizer that is already there is replaced.

        Raises:
            InputError: Something else is already there.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> Tokenizer:
        """Build the tokenizer from its folder and its validated `vocabulary.json`."""

    def _write_description(self, folder: Path, **details: Any) -> None:
        """Write `vocabulary.json`: the kind, the tokens in id order, and where they come from."""
        head = {
            "format_version": format_version("vocabulary"),
            "kind": self.kind,
            "sha256": self.sha256,
        }
        write_json(folder / VOCABULARY_FILE, {**head, **details, "tokens": list(self.tokens)})


@contextmanager
def new_tokenizer_folder(folder: str | Path) -> Iterator[Path]:
    """`new_folder`, but nothing else than an old tokenizer is ever replaced.

    Raises:
        InputError: `folder` exists, is not empty and is not a tokenizer.
    """
    folder = Path(folder)
    ours = (folder / VOCABULARY_FILE).is_file()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not a tokenizer; name a new folder")
    with new_folder(folder) as temporary:
        yield temporary


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Open a tokenizer that `Tokenizer.save` wrote.

    Reading GPT-2's merges takes most of the time that opening a checkpoint does, and all of them
    share a tokenizer, so the last ones opened are kept, each for as long as its files stay the
    same.

    Raises:
        InputError: There is no such folder, it holds no tokenizer, or its files are damaged.
    """
    from lt_interp.corpus.gpt2_bpe import MERGES_FILE

    folder = _existing(Path(folder))
    files = [file_in(folder, name) for name in (VOCABULARY_FILE, MERGES_FILE)]
    there = [require_small(path) for path in files if path.exists()]
    return _opened(folder, tuple(map(sha256_file, there)))


@lru_cache(maxsize=4)
def _opened(folder: Path, files: tuple[str, ...]) -> Tokenizer:
    """The tokenizer of a folder whose files have these SHA-256."""
    # the kinds build on this file, so they can only be looked up when one is asked for
    from lt_interp.corpus.gpt2_compact import Gpt2Compact
    from lt_interp.corpus.simple_tokenizers import ByteTokenizer, CharacterTokenizer

    description = _read_description(folder)
    kinds: dict[str, type[Tokenizer]] = {
        kind.kind: kind for kind in (Gpt2Compact, ByteTokenizer, CharacterTokenizer)
    }
    if description["kind"] not in kinds:
        raise InputError(
            f"{folder} holds a tokenizer of unknown kind {description['kind']!r}; "
            f"allowed: {', '.join(kinds)}"
        )
    tokenizer = kinds[description["kind"]].load(folder, description)
    if tokenizer.sha256 != description["sha256"]:
        raise InputError(
            f"{folder / VOCABULARY_FILE} is damaged: its tokens do not have the sha256 it states; "
            "restore the folder or build the tokenizer again"
        )
    return tokenizer


def stored_sha256(folder: str | Path) -> str:
    """The `sha256` that a saved tokenizer states, without the work of opening it."""
    return _read_description(_existing(Path(folder)))["sha256"]


def default_tokenizer() -> Tokenizer:
    """The ladder's tokenizer: GPT-2's BPE cut to the 4,096 ids that TinyStories needs most."""
    return shipped_tokenizer(DEFAULT_TOKENIZER)


def shipped_tokenizer(name: str) -> Tokenizer:
    """One of the tokenizers in the `trained` folder."""
    return load_tokenizer(trained_folder() / "tokenizers" / name)


def named_tokenizer(name: str, training: Corpus) -> Tokenizer:
    """What a stage calls its tokenizer (`Stage.tokenizer`).

    Args:
        name: `"byte"`, `"character"`, or a shipped one's.
        training: The stories to learn from, whose characters `"character"` numbers.

    Raises:
        InputError: No tokenizer of that name is shipped.
    """
    from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character

    if name == "byte":
        return ByteTokenizer()
    if name == "character":
        return build_character(training.stories(), corpus_sha256=training.sha256)
    return shipped_tokenizer(name)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"there is no tokenizer folder {folder}; name one, or build it")
    return folder


def _read_description(folder: Path) -> dict[str, Any]:
    """Read and check `vocabulary.json`."""
    path = file_in(folder, VOCABULARY_FILE)
    if not path.exists():
        raise InputError(f"{folder} is not a tokenizer: it has no {VOCABULARY_FILE}")
    found = read_json(path, schema="vocabulary")
    if len(set(found["tokens"])) != len(found["tokens"]):
        raise InputError(f"{path} is damaged: a token is listed twice")
    try:
        "".join(found["tokens"]).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path} is damaged: a token holds half a character") from None
    return found
