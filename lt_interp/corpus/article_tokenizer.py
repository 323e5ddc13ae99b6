"""The tokenizer file of the article's notebooks, opened as one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lt_interp.corpus.gpt2_bpe import Gpt2Bpe
from lt_interp.corpus.gpt2_compact import SPECIAL_TOKENS, Gpt2Compact, shipped_bpe_folder
from lt_interp.corpus.tokenizer import VOCABULARY_FILE, Tokenizer, load_tokenizer
from lt_interp.errors import InputError
from lt_interp.reading import read_json

FILE = "tokenizer.json"
_TABLE = "compact_to_gpt2"


def open_tokenizer(path: str | Path) -> Tokenizer:
    """Open a tokenizer's folder: one of ours, or what notebook 00 writes.

    Args:
        path: Our folder, the notebooks' `tokenizer` folder, or the `tokenizer.json` in it.

    Raises:
        InputError: It is none of these, or damaged.
    """
    path = Path(path)
    if (path / VOCABULARY_FILE).is_file():
        return load_tokenizer(path)
    file = path if path.is_file() else path / FILE
    if not file.is_file():
        return load_tokenizer(path)  # which says what is missing
    found = read_json(file)
    if not isinstance(found, dict) or _TABLE not in found:
        raise InputError(
            f"{file} is no tokenizer of the notebooks: it has no {_TABLE}; name a folder with "
            f"{VOCABULARY_FILE}, or the notebooks' {FILE}"
        )
    return _compact(file, found)


def _compact(file: Path, found: dict[str, Any]) -> Gpt2Compact:
    """GPT-2's BPE cut to the ids of `compact_to_gpt2`, which the notebooks number as we do.

    How often each token was counted, and on what, the file does not say.
    """
    bpe = Gpt2Bpe(shipped_bpe_folder())
    table, first = found[_TABLE], len(SPECIAL_TOKENS)
    n_ids = found.get("vocab_size")
    n_kept = len(table) if isinstance(table, dict) else 0
    wanted = [str(i) for i in range(first, first + n_kept)]
    if not wanted or type(n_ids) is not int or n_ids != first + n_kept or set(table) != set(wanted):
        raise InputError(
            f"{file} is damaged: {_TABLE} must have every id from {first} to vocab_size - 1 and no "
            "other; restore it"
        )
    gpt2 = [table[i] for i in wanted]
    if any(type(i) is not int or not 0 <= i < len(bpe.tokens) for i in gpt2):
        raise InputError(f"{file} is damaged: {_TABLE} holds what is no id of GPT-2; restore it")
    if len(set(gpt2)) != len(gpt2):
        raise InputError(f"{file} is damaged: a GPT-2 token has two ids; restore it")
    kept = [bpe.tokens[i] for i in gpt2]
    return Gpt2Compact(kept, counts=None, corpus_sha256=None, bpe=bpe)
