from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.tokenizer import Tokenizer, default_tokenizer
from lt_interp.methods.token_classes import CLASSES, token_classes


@pytest.fixture(scope="module")
def shipped() -> Tokenizer:
    return default_tokenizer()


@pytest.fixture(scope="module")
def classes(shipped: Tokenizer) -> dict[str, str]:
    return dict(zip(shipped.str_tokens, token_classes(shipped), strict=True))


def lists() -> dict[str, list[str]]:
    path = files("lt_interp").joinpath("methods", "token_classes.json")
    return json.loads(path.read_text(encoding="utf-8"))["words"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Lily", "name"),
        (" Tim", "name"),
        ("Tim", "name"),
        (" She", "pronoun"),
        (" she", "pronoun"),
        ("She", "pronoun"),
        (" her", "pronoun"),
        (" I", "pronoun"),
        (" said", "verb"),
        (" loved", "verb"),
        (" dog", "noun"),
        (" sad", "adjective"),
        (" the", "function word"),
        ("One", "function word"),
        (" a", "function word"),
        ("'s", "function word"),
        (".", "punctuation"),
        ('."', "punctuation"),
        ("\n", "punctuation"),
        (" ", "punctuation"),
        ("ily", "other"),  # the rest of " Lily" where it is cut in two
        (" L", "other"),
        (" quickly", "other"),
        ("<eos>", "other"),
        ("<unk>", "other"),
    ],
)
def test_the_class_of_a_token(classes: dict[str, str], text: str, expected: str) -> None:
    assert classes[text] == expected


def test_every_id_has_a_class(shipped: Tokenizer) -> None:
    found = token_classes(shipped)
    assert len(found) == shipped.d_vocab
    assert set(found) == set(CLASSES)


def test_most_frequent_words_are_listed(shipped: Tokenizer) -> None:
    """Ids are in order of frequency: hardly a word among the first 1,000 is left to "other"."""
    words = np.array([len(t.strip()) > 2 and not t[0].islower() for t in shipped.str_tokens[:1000]])
    other = np.array(token_classes(shipped)[:1000]) == "other"
    assert (other & words).sum() / words.sum() < 0.05


def test_a_word_stands_in_one_list() -> None:
    words = [word for listed in lists().values() for word in listed]
    assert len(words) == len(set(words))
    assert set(lists()) <= set(CLASSES)


def test_lists_are_words_of_the_shipped_vocabulary_or_plain_english() -> None:
    """Capitals stand in the list of names alone, where they decide."""
    for name, words in lists().items():
        assert all(word[0].isupper() if name == "name" else word == word.lower() for word in words)


def test_letters_are_not_words() -> None:
    tokenizer = ByteTokenizer()
    classes = dict(zip(tokenizer.str_tokens, token_classes(tokenizer), strict=True))
    assert classes["I"] == classes["a"] == "other"
    assert classes["."] == classes[" "] == "punctuation"
