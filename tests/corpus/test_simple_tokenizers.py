"""Bytes are bytes; characters are ranked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character
from lt_interp.errors import InputError

SHA = "0" * 64


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_byte_ids_are_the_bytes(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(text) == list(text.encode("utf-8"))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_byte_tokenizer_has_256_ids_and_nothing_unknown() -> None:
    tokenizer = ByteTokenizer()
    assert (tokenizer.d_vocab, tokenizer.unk_id) == (256, None)
    assert tokenizer.eos_id == tokenizer.pad_id == 0
    assert tokenizer.str_tokens[0xC3] == "\ufffd", "half a character"
    with pytest.raises(InputError, match="NUL"):
        tokenizer.encode("a\0b")


def test_characters_are_ranked_by_count_then_code_point() -> None:
    tokenizer = build_character(["bab", "cé\n"], corpus_sha256=SHA)
    assert tokenizer.tokens == ("<pad>", "<unk>", "<eos>", "b", "\n", "a", "c", "é")
    assert tokenizer.counts == (2, 1, 1, 1, 1)
    assert tokenizer.encode("éab?") == [7, 5, 3, 1]
    assert tokenizer.decode([7, 5, 3, 1, 2]) == "éab<unk><eos>"


def test_a_smaller_character_vocabulary_keeps_the_most_frequent() -> None:
    tokenizer = build_character(["aabbbc"], corpus_sha256=SHA, vocab_size=5)
    assert tokenizer.tokens[3:] == ("b", "a")
    assert tokenizer.encode("abc") == [4, 3, 1]


@given(st.text(min_size=1))
def test_a_corpus_survives_its_own_character_tokenizer(text: str) -> None:
    tokenizer = build_character([text], corpus_sha256=SHA)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("vocab_size", [0, 3, 6])
def test_impossible_character_vocabularies_are_refused(vocab_size: int) -> None:
    with pytest.raises(InputError, match="2 distinct characters for 5 at most"):
        build_character(["ab"], corpus_sha256=SHA, vocab_size=vocab_size)


def test_an_empty_corpus_has_no_characters() -> None:
    with pytest.raises(InputError, match="0 distinct characters"):
        build_character([""], corpus_sha256=SHA)


def test_half_a_surrogate_pair_is_refused() -> None:
    for tokenizer in (ByteTokenizer(), build_character(["a"], corpus_sha256=SHA)):
        with pytest.raises(InputError, match="UTF-8"):
            tokenizer.encode("\ud83c")
    with pytest.raises(InputError, match="UTF-8"):
        build_character(["\ud83c"], corpus_sha256=SHA)
