"""The cut BPE: GPT-2's tokens where GPT-2 puts them, ids by frequency."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, pre_tokenizers

from lt_interp.corpus.gpt2_bpe import Gpt2Bpe
from lt_interp.corpus.gpt2_compact import Gpt2Compact, build_gpt2_compact, shipped_bpe_folder
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import default_tokenizer, load_tokenizer, shipped_tokenizer
from lt_interp.errors import InputError
from lt_interp.files import trained_folder

SHARED = Path(__file__).parents[3] / "shared" / "data"
BPE = Gpt2Bpe(shipped_bpe_folder())
STORIES = list(islice(open_corpus("embedded").stories(), 60))
SHA = "0" * 64
LARGE = "tinystories-10000"


def build(stories: list[str], vocab_size: int) -> Gpt2Compact:
    return build_gpt2_compact(stories, vocab_size=vocab_size, corpus_sha256=SHA)


@cache
def shipped() -> Gpt2Compact:
    tokenizer = default_tokenizer()
    assert isinstance(tokenizer, Gpt2Compact)
    return tokenizer


def test_planted_counts_give_planted_ids() -> None:
    # " cat" and " dog" tie; GPT-2 learned " cat" (3797) after " dog" (3290)
    tokenizer = build(["the cat dog cat", "the dog the"], 7)
    assert tokenizer.tokens == ("<pad>", "<unk>", "<eos>", "the", "Ġdog", "Ġcat", "Ġthe")
    assert tokenizer.counts == (2, 2, 2, 1)
    assert tokenizer.encode("the cat sat") == [3, 5, 1]
    assert tokenizer.decode([3, 5, 1, 2]) == "the cat<unk><eos>"


def test_ids_are_by_count_then_gpt2_id() -> None:
    tokenizer = build(STORIES, 1000)
    counts = Counter(int(i) for ids in BPE.encode_batch(STORIES) for i in ids)
    order = sorted(counts, key=lambda i: (-counts[i], i))[:997]
    assert list(tokenizer.tokens[3:]) == [BPE.tokens[i] for i in order]
    assert list(tokenizer.counts) == [counts[i] for i in order]
    assert len(set(tokenizer.counts)) < len(tokenizer.counts), "a tie is needed for this to tell"


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_only_dropped_tokens_are_lost(text: str) -> None:
    tokenizer = shipped()
    ids, full = tokenizer.encode(text), BPE.encode_batch([text])[0]
    assert len(ids) == len(full)
    kept = {token: i for i, token in enumerate(tokenizer.tokens)}
    assert ids == [kept.get(BPE.tokens[i], tokenizer.unk_id) for i in full]
    if tokenizer.unk_id not in ids:
        assert tokenizer.decode(ids) == text


def test_special_ids_and_size_of_the_shipped_tokenizer() -> None:
    tokenizer = shipped()
    assert tokenizer.d_vocab == len(set(tokenizer.tokens)) == 4096
    assert tokenizer.str_tokens[:3] == ("<pad>", "<unk>", "<eos>")
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.eos_id) == (0, 1, 2)
    ids = tokenizer.encode("Once upon a time there was a little girl named Lily.")
    assert [tokenizer.str_tokens[i] for i in ids[-5:]] == [
        " little", " girl", " named", " Lily", ".",
    ]  # fmt: skip
    assert list(tokenizer.counts) == sorted(tokenizer.counts, reverse=True)


def test_names_of_special_tokens_in_a_story_are_text() -> None:
    tokenizer = shipped()
    ids = tokenizer.encode("<eos><pad><|endoftext|>")
    assert tokenizer.eos_id not in ids
    assert tokenizer.pad_id not in ids


@pytest.mark.parametrize("vocab_size", [-1, 0, 3, 50_260])
def test_impossible_sizes_are_refused(vocab_size: int) -> None:
    with pytest.raises(InputError, match="choose 4 to 50259"):
        build(STORIES, vocab_size)


def test_too_few_distinct_tokens_are_counted_for_the_user() -> None:
    with pytest.raises(InputError, match="2 distinct tokens, which fill only 5 of the 6 ids"):
        build(["a cat"], 6)
    assert build(["a cat"], 5).d_vocab == 5


def test_a_saved_tokenizer_can_be_the_source_of_the_bpe(tmp_path: Path) -> None:
    first = build(["a cat sat"], 6)
    first.save(tmp_path / "first")
    stories = ["the dog ran"]
    again = build_gpt2_compact(
        stories, vocab_size=6, corpus_sha256=SHA, bpe_folder=tmp_path / "first"
    )
    assert again.tokens == build(stories, 6).tokens
    assert (tmp_path / "first" / "LICENSE").is_file()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the TinyStories files are not here")
def test_every_validation_story_agrees_with_gpt2() -> None:
    encoder, merges = models.BPE.read_file(
        str(SHARED / "gpt2_bpe" / "encoder.json"), str(SHARED / "gpt2_bpe" / "vocab.bpe")
    )
    gpt2 = FastTokenizer(models.BPE(encoder, merges))
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = shipped()
    compact = np.ones(len(encoder), dtype=np.int32)
    for i, token in enumerate(tokenizer.tokens[3:], start=3):
        compact[encoder[token]] = i
    stories = list(open_corpus(SHARED / "tinystories" / "validation.txt").stories())
    found = tokenizer.encode_batch(stories)
    expected = [compact[encoding.ids] for encoding in gpt2.encode_batch(stories)]
    assert len(found) == len(expected) == 600
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the TinyStories files are not here")
def test_shipped_tokenizer_is_built_from_the_training_split(tmp_path: Path) -> None:
    corpus = open_corpus(SHARED / "tinystories" / "train.txt")
    built = build_gpt2_compact(corpus.stories(), vocab_size=4096, corpus_sha256=corpus.sha256)
    built.save(tmp_path / "built")
    files = {path.name: path.read_bytes() for path in shipped_bpe_folder().iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "built").iterdir()} == files
    assert shipped().sha256 == built.sha256


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the TinyStories files are not here")
def test_the_tokenizer_of_10000_ids_is_built_from_the_same_stories(tmp_path: Path) -> None:
    corpus = open_corpus(SHARED / "tinystories" / "train.txt")
    built = build_gpt2_compact(corpus.stories(), vocab_size=10_000, corpus_sha256=corpus.sha256)
    built.save(tmp_path / "built")
    files = {p.name: p.read_bytes() for p in (trained_folder() / "tokenizers" / LARGE).iterdir()}
    assert {name: (tmp_path / "built" / name).read_bytes() for name in files} == files


def test_the_larger_vocabulary_goes_on_where_the_smaller_ends() -> None:
    small, large = shipped(), shipped_tokenizer(LARGE)
    assert large.d_vocab == 10_000
    assert large.tokens[: small.d_vocab] == small.tokens
    assert large.corpus_sha256 == small.corpus_sha256
    counts = large.counts
    assert list(counts) == sorted(counts, reverse=True)
    text = "Once upon a time there was a little girl named Lily."
    assert large.encode(text) == small.encode(text)
    rare = large.str_tokens[9_999]
    assert large.encode(f"a{rare}")[-1] == 9_999
    assert small.encode(f"a{rare}")[-1] == small.unk_id


def test_a_folder_without_the_full_bpe_is_cut_from_the_shipped_one(tmp_path: Path) -> None:
    """It is refused where its own was another: the merges are told by their sha256."""
    folder = Path(shutil.copytree(trained_folder() / "tokenizers" / LARGE, tmp_path / "large"))
    assert not (folder / "vocab.bpe").exists()
    assert load_tokenizer(folder).bpe.sha256 == BPE.sha256
    described = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    other = json.dumps({**described, "merges_sha256": "0" * 64})
    (folder / "vocabulary.json").write_text(other, encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab\.bpe is not the one of"):
        load_tokenizer(folder)
