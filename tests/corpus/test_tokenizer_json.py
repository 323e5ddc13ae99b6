"""`PreTrainedTokenizerFast` reads our folders and gives the ids that we give, for any text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import Tokenizer, default_tokenizer
from lt_interp.files import trained_folder

SHARED = Path(__file__).parents[3] / "shared" / "data"
# What the format could trip over: contractions, spaces, special names, the code points that mark
# boundaries and stand for tokens while the rules run, byte letters, characters of several bytes.
TRAPS = [
    "'s", "''ll", "'S", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u200b", "\x7f",
    "<unk>", "<eos>", "<pad>", "<|endoftext|>", "\U0010fffb", "\U0010fffc", "\U0010fffd",
    "\U0010fffc\U0010fffb", "Ġ", "Ā", "\u0180", "\u4e00", "é", "e\u0301", "🎉", "👩‍👧", "Ж", "12",
    "aaaa", "...", "the", " Lily", " don't", "ing",
]  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(TRAPS) | st.characters(exclude_categories=["Cs"]), max_size=20
).map("".join)
OURS = default_tokenizer()


@pytest.fixture(scope="module")
def theirs() -> PreTrainedTokenizerFast:
    return open_with_transformers(trained_folder() / "tokenizers" / "tinystories-4096")


def open_with_transformers(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


def check(ours: Tokenizer, theirs: PreTrainedTokenizerFast, text: str) -> None:
    ids = ours.encode(text)
    assert theirs(text, verbose=False).input_ids == ids
    assert theirs.decode(ids) == ours.decode(ids)


@given(text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_any_text_gets_the_same_ids(theirs: PreTrainedTokenizerFast, text: str) -> None:
    check(OURS, theirs, text)


def test_stories_get_the_same_ids(theirs: PreTrainedTokenizerFast) -> None:
    stories = list(open_corpus("embedded").stories())[::66]
    assert len(stories) == 10
    for story in stories:
        check(OURS, theirs, story)


def test_the_vocabulary_is_ours(theirs: PreTrainedTokenizerFast) -> None:
    assert len(theirs) == OURS.d_vocab
    assert theirs.convert_ids_to_tokens(list(range(len(theirs)))) == list(OURS.tokens)
    assert (theirs.pad_token_id, theirs.unk_token_id, theirs.eos_token_id) == (0, 1, 2)
    assert theirs.decode([58, 2, 0], skip_special_tokens=True) == OURS.decode([58])


@pytest.mark.parametrize("text", ["héllo\r\n\n  wörld 🎉 <eos> Ā", "", " "])
def test_bytes_and_characters_get_the_same_ids(text: str, tmp_path: Path) -> None:
    character = build_character(["héllo\n <>eos"], corpus_sha256="0" * 64)
    for tokenizer in (ByteTokenizer(), character):
        folder = tmp_path / tokenizer.kind
        tokenizer.save(folder)
        loaded = open_with_transformers(folder)
        check(tokenizer, loaded, text)
        assert len(loaded) == tokenizer.d_vocab
        assert loaded.eos_token_id == tokenizer.eos_id
        assert loaded.pad_token_id == tokenizer.pad_id
        assert loaded.unk_token_id == tokenizer.unk_id


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["embedded", SHARED / "tinystories" / "validation.txt"], ids=str)
def test_every_story_gets_the_same_ids(theirs: PreTrainedTokenizerFast, spec: str | Path) -> None:
    if isinstance(spec, Path) and not spec.is_file():
        pytest.skip("the TinyStories files are not here")
    for story in open_corpus(spec).stories():
        check(OURS, theirs, story)
