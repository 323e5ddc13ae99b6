"""Rows are the joined token stream, cut; every token knows its story; the cache can vanish."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lt_interp.corpus import Corpus, open_corpus, open_rows
from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError


class ByteIds(Tokenizer):
    """Each byte is its own id, shifted by `first`; the id below `first` ends a story."""

    kind = "byte"

    def __init__(self, first: int = 1) -> None:
        names = [str(i) for i in range(first + 256)]
        super().__init__(names, [name.encode() for name in names])
        self.first, self.eos_id, self.unk_id, self.pad_id = first, first - 1, None, None
        self.texts_encoded = 0

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.texts_encoded += len(texts)
        return [np.frombuffer(t.encode(), np.uint8).astype(np.int32) + self.first for t in texts]

    def save(self, folder: str | Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> Tokenizer:
        raise NotImplementedError


def joined(corpus: Corpus, first: int = 1) -> tuple[list[int], list[int]]:
    """The reference, one byte at a time: the whole token stream, and the story of each token."""
    tokens, owners = [], []
    for number, story in enumerate(corpus.stories()):
        for token in [*(byte + first for byte in story.encode()), first - 1]:
            tokens.append(token)
            owners.append(number)
    return tokens, owners


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LT_INTERP_CACHE", str(folder))
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return book(tmp_path, [f"Story {i}. " + "x" * (i % 7) for i in range(40)])


def book(folder: Path, stories: Sequence[str]) -> Corpus:
    path = folder / "book.jsonl"
    path.write_text("".join(json.dumps({"text": story}) + "\n" for story in stories))
    return open_corpus(path)


def entry(cache: Path) -> Path:
    """The one folder in the cache; no temporary one is left beside it."""
    (folder,) = (cache / "rows").iterdir()
    return folder


@settings(max_examples=40, deadline=None)
@given(
    stories=st.lists(st.text("abé \n", max_size=30).map(lambda s: f"x{s}x"), min_size=1),
    width=st.integers(2, 40),
)
def test_rows_are_the_token_stream_cut_and_every_token_knows_its_story(
    tmp_path_factory: pytest.TempPathFactory, stories: list[str], width: int
) -> None:
    corpus = book(tmp_path_factory.mktemp("book"), stories)
    tokens, owners = joined(corpus)
    n_rows = len(tokens) // width
    if n_rows == 0:
        with pytest.raises(InputError, match=f"has {len(tokens)} tokens, fewer than one row"):
            open_rows(corpus, ByteIds(), width=width)
        return
    rows = open_rows(corpus, ByteIds(), width=width)
    assert rows.tokens.shape == (rows.n_rows, rows.width) == (n_rows, width)
    assert rows.tokens.ravel().tolist() == tokens[: n_rows * width]
    ids = rows.story_ids(slice(None))
    assert ids.dtype == np.int32
    assert ids.ravel().tolist() == owners[: n_rows * width]
    assert np.unique(ids).tolist() == list(range(rows.n_stories))


def test_rows_say_what_they_are_made_of(corpus: Corpus) -> None:
    tokenizer = ByteIds()
    rows = open_rows(corpus, tokenizer, width=16)
    assert (rows.corpus_name, rows.corpus_split) == ("book.jsonl", "all")
    assert (rows.corpus_sha256, rows.tokenizer_sha256) == (corpus.sha256, tokenizer.sha256)


def test_batches_join_without_a_seam(tmp_path: Path) -> None:
    corpus = book(tmp_path, [f"{i}" for i in range(2_345)])
    tokens, _ = joined(corpus)
    seen: list[tuple[int, int]] = []
    rows = open_rows(corpus, ByteIds(), width=8, progress=lambda *pair: seen.append(pair))
    assert rows.tokens.ravel().tolist() == tokens[: rows.n_rows * 8]
    assert seen == [(1_000, 2_345), (2_000, 2_345), (2_345, 2_345)]


@pytest.mark.parametrize(("first", "dtype"), [(65_280, np.uint16), (65_281, np.uint32)])
def test_ids_are_stored_in_two_bytes_as_long_as_they_fit(
    corpus: Corpus, first: int, dtype: type[np.generic]
) -> None:
    rows = open_rows(corpus, ByteIds(first), width=16)
    assert rows.tokens.dtype == dtype
    tokens, _ = joined(corpus, first)
    assert rows.tokens.ravel().tolist() == tokens[: rows.n_rows * 16]


def test_story_ids_of_chosen_rows(corpus: Corpus) -> None:
    rows = open_rows(corpus, ByteIds(), width=16)
    everything = rows.story_ids(range(rows.n_rows))
    chosen = np.array([5, 0, 5, rows.n_rows - 1])
    assert np.array_equal(rows.story_ids(chosen), everything[chosen])
    assert np.array_equal(rows.story_ids([3]), everything[[3]])
    assert np.array_equal(rows.story_ids(slice(-3, None)), everything[-3:])
    assert rows.story_ids([]).shape == (0, 16)
    for wrong in ([-1], [rows.n_rows], np.ones(rows.n_rows, dtype=np.int64) * rows.n_rows):
        with pytest.raises(IndexError, match=f"0 to {rows.n_rows - 1}"):
            rows.story_ids(wrong)
    with pytest.raises(IndexError, match="mask"):
        rows.story_ids([True] * rows.n_rows)


def test_a_story_lost_with_the_last_row_is_not_counted(tmp_path: Path) -> None:
    corpus = book(tmp_path, ["aaa", "bbb", "c"])
    rows = open_rows(corpus, ByteIds(), width=4)
    assert (corpus.n_stories, rows.n_stories) == (3, 2)


def test_rows_are_mapped_and_read_only_and_encoded_once(cache: Path, corpus: Corpus) -> None:
    tokenizer = ByteIds()
    first = open_rows(corpus, tokenizer, width=16)
    second = open_rows(corpus, tokenizer, width=16)
    assert tokenizer.texts_encoded == 40
    assert isinstance(second.tokens, np.memmap)
    assert np.array_equal(first.tokens, second.tokens)
    with pytest.raises(ValueError, match="read-only"):
        second.tokens[0, 0] = 0
    assert (entry(cache) / "tokens.bin").stat().st_size == second.tokens.size * 2


def test_other_corpora_tokenizers_and_widths_do_not_share_rows(
    cache: Path, tmp_path: Path, corpus: Corpus
) -> None:
    open_rows(corpus, ByteIds(), width=16)
    open_rows(corpus, ByteIds(), width=17)
    open_rows(corpus, ByteIds(2), width=16)
    open_rows(book(tmp_path, ["Another story, long enough."]), ByteIds(), width=16)
    assert len(list((cache / "rows").iterdir())) == 4


@pytest.mark.parametrize("file", ["tokens.bin", "story_starts.npy", "files.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other", "flipped"])
def test_a_broken_cache_is_built_anew(cache: Path, corpus: Corpus, file: str, damage: str) -> None:
    tokenizer = ByteIds()
    rows = open_rows(corpus, tokenizer, width=16)
    tokens, ids = rows.tokens.copy(), rows.story_ids(slice(None))
    path = entry(cache) / file
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        damages = {"empty": b"", "cut": content[:-3], "other": b"[1]", "flipped": flipped}
        path.write_bytes(damages[damage])
    again = open_rows(corpus, tokenizer, width=16)
    assert tokenizer.texts_encoded == 80
    assert np.array_equal(again.tokens, tokens)
    assert np.array_equal(again.story_ids(slice(None)), ids)
    assert path.read_bytes() == content


def test_the_cache_can_be_deleted_under_open_rows(cache: Path, corpus: Corpus) -> None:
    rows = open_rows(corpus, ByteIds(), width=16)
    shutil.rmtree(cache)
    tokens, owners = joined(corpus)
    assert rows.tokens.ravel().tolist() == tokens[: rows.tokens.size]
    assert rows.story_ids(slice(None)).ravel().tolist() == owners[: rows.tokens.size]
    assert np.array_equal(open_rows(corpus, ByteIds(), width=16).tokens, rows.tokens)


def test_builders_at_the_same_time_do_not_break_each_other(cache: Path, corpus: Corpus) -> None:
    tokens, _ = joined(corpus)
    together = threading.Barrier(4)
    good: list[bool] = []

    class Waiting(ByteIds):
        def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
            together.wait(timeout=30)
            return super().encode_batch(texts)

    def build() -> None:
        rows = open_rows(corpus, Waiting(), width=16)
        good.append(rows.tokens.ravel().tolist() == tokens[: rows.tokens.size])

    for _ in range(5):
        shutil.rmtree(cache, ignore_errors=True)
        threads = [threading.Thread(target=build) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        afterwards = open_rows(corpus, ByteIds(), width=16).tokens.ravel().tolist()
        assert afterwards == tokens[: len(afterwards)]
        entry(cache)
    assert good == [True] * 20


def test_bad_input_leaves_nothing_in_the_cache(cache: Path, tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(
        InputError, match=r"'book\.jsonl' \(all\) has .* fewer than one row of 9999"
    ):
        open_rows(corpus, ByteIds(), width=9_999)
    book(tmp_path, ["Not the stories that were opened."])
    with pytest.raises(InputError, match="was changed"):
        open_rows(corpus, ByteIds(), width=16)
    for width in (1, 0, -4):
        with pytest.raises(InputError, match="2 or more"):
            open_rows(corpus, ByteIds(), width=width)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LT_INTERP_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written .* LT_INTERP_CACHE"):
        open_rows(corpus, ByteIds(), width=16)


def test_the_embedded_corpus_by_bytes() -> None:
    """The shipped file with one `<eos>` in place of every delimiter."""
    import lt_interp.corpus as package

    size = Path(package.__file__).with_name("stories.txt").stat().st_size
    rows = open_rows(open_corpus("embedded"), ByteIds())
    assert rows.width == 256
    assert rows.n_rows == (size - 660 * len("\n<|endoftext|>\n") + 660) // 256
    assert 659 <= rows.n_stories <= 660


def test_rows_cross_to_another_process_by_the_name_of_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LT_INTERP_CACHE", str(tmp_path))
    built = open_rows(open_corpus("embedded"), ByteTokenizer(), width=64)
    rows = open_rows(open_corpus("embedded"), ByteTokenizer(), width=64)  # now mapped in its place
    part = dataclasses.replace(rows, tokens=rows.tokens[3:90])
    assert len(pickle.dumps(rows)) < 2_000 < len(pickle.dumps(part))
    for one in (built, rows, part):
        again = pickle.loads(pickle.dumps(one))
        assert np.array_equal(again.tokens, one.tokens)
        assert np.array_equal(again.story_starts, one.story_starts)
        assert (again.corpus_sha256, again.width) == (one.corpus_sha256, one.width)
