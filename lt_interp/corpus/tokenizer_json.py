"""The two files by which `transformers.PreTrainedTokenizerFast` opens a tokenizer folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lt_interp.files import write_json, write_text

BYTE_LEVEL_NORMALIZER = {"type": "ByteLevel"}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": False,
    "use_regex": False,
}
SPLIT_EVERYWHERE = {
    "type": "Split",
    "pattern": {"Regex": r"[\s\S]"},  # a dot would leave line ends out
    "behavior": "Isolated",
    "invert": False,
}


def save_for_transformers(
    folder: Path,
    tokens: Sequence[str],
    *,
    normalizers: Sequence[Mapping[str, Any]],
    pre_tokenizer: Mapping[str, Any],
    decoder: Mapping[str, Any],
    special_tokens: Mapping[str, str],
) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    The model is a list of words, so what stands between the boundaries of the pre-tokenizer is
    either a token or `<unk>`.

    Args:
        folder: Where to write.
        tokens: The name of every id, in id order.
        normalizers: The steps that turn text into what is looked up, in the `tokenizers` format.
        pre_tokenizer: The step that cuts it.
        decoder: The step that makes text of token names.
        special_tokens: The names of the special tokens by role: "pad", "unk", "eos".
    """
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        # none here: a special token listed here would be cut out of a story that spells it
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": list(normalizers)},
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": {
            "type": "WordLevel",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "unk_token": special_tokens.get("unk", ""),
        },
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    write_text(folder / "tokenizer.json", text + "\n")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{role}_token": token for role, token in special_tokens.items()},
        "split_special_tokens": True,  # text is only ever text, as in our own encoding
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer_config.json", config)
