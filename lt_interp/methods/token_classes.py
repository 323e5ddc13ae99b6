"""What kind of word a token is, by its text alone.

The word lists, written by hand for the shipped vocabulary, are `token_classes.json`; it states how
a word with two senses was placed. A token is judged without its neighbours, so the rules are:

1. the tokens for padding, unknown text and the end of a story are "other";
2. a text without a letter or digit, a newline too, is "punctuation";
3. a token that begins with a letter and has neither a space before it nor a capital is the rest of
   a longer word ("ily" of " Lily"): "other"; so is a single letter that is not " I" or " a";
4. the word, its spaces removed, is a "name" if its capitalised form is listed as one, and otherwise
   of the class that lists it in lower case, so " She" and " she" agree;
5. whatever no list holds, adverbs in -ly, exclamations and numerals among them, is "other".
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from lt_interp.corpus.tokenizer import Tokenizer

CLASSES: tuple[str, ...] = (
    "name",
    "pronoun",
    "verb",
    "noun",
    "adjective",
    "function word",
    "punctuation",
    "other",
)
_ONE_LETTER_WORDS = {"i", "a"}


def token_classes(tokenizer: Tokenizer) -> list[str]:
    """The class of every token of a tokenizer.

    Args:
        tokenizer: Any; one of characters or bytes has no words, so each of its letters is "other".

    Returns:
        One of `CLASSES` for every id, in id order.
    """
    special = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.eos_id}
    texts = ["" if place in special else text for place, text in enumerate(tokenizer.str_tokens)]
    has_words = any(len(text) > 1 for text in texts)
    return [
        "other" if place in special else _class_of(text, has_words)
        for place, text in enumerate(texts)
    ]


def _class_of(text: str, has_words: bool) -> str:
    """The class of one token.

    Args:
        text: As it decodes alone.
        has_words: Whether the tokenizer has tokens of more than one character, so that a letter
            alone is a word and not the beginning of one.
    """
    word = text.strip()
    if not any(character.isalnum() or character == "\ufffd" for character in word):
        return "punctuation"
    if not has_words or _continues_a_word(text) or _is_a_letter(word):
        return "other"
    words = _words()
    return words.get(word) or words.get(word.lower(), "other")


def _continues_a_word(text: str) -> bool:
    return text[0].isalpha() and not text[0].isupper()


def _is_a_letter(word: str) -> bool:
    return len(word) == 1 and word.lower() not in _ONE_LETTER_WORDS


@cache
def _words() -> dict[str, str]:
    """The class of every listed word; names keep their capital."""
    path = files("lt_interp").joinpath("methods", "token_classes.json")
    listed = json.loads(path.read_text(encoding="utf-8"))["words"]
    return {word: name for name, words in listed.items() for word in words}
