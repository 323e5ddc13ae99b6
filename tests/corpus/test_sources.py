"""Every source gives the same stories and hash, and every bad one gives one clear line."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lt_interp.corpus import Corpus, open_corpus
from lt_interp.corpus.sources import in_validation
from lt_interp.errors import InputError

DELIMITER_LINE = "\n<|endoftext|>\n"
TINYSTORIES = Path(__file__).parents[3] / "shared" / "data" / "tinystories"


def write_txt(path: Path, texts: list[str]) -> None:
    path.write_bytes("".join(text + DELIMITER_LINE for text in texts).encode())


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"id": 1, "text": text}) + "\n" for text in texts))


def write_parquet(path: Path, texts: list[str]) -> None:
    table = pa.table({"id": list(range(len(texts))), "text": pa.array(texts, pa.string())})
    parquet.write_table(table, path, row_group_size=3)


WRITERS: dict[str, Callable[[Path, list[str]], None]] = {
    ".txt": write_txt,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}
STORIES = [f"Story {i}.\n\nIt has two paragraphs — and naïve “quotes”." for i in range(100)]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    write_txt(path, STORIES)
    return path


def refused(spec: str | Path, *words: str, split: str | None = None) -> None:
    """Opening fails with one line that holds all the words."""
    with pytest.raises(InputError) as caught:
        open_corpus(spec, split=split)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_embedded_corpus_is_the_shipped_file() -> None:
    corpus = open_corpus("embedded")
    import lt_interp.corpus as package

    shipped = Path(package.__file__).with_name("stories.txt").read_bytes()
    assert (corpus.name, corpus.split, corpus.n_stories) == ("embedded", "all", 660)
    assert corpus.sha256 == hashlib.sha256(shipped).hexdigest()
    assert DELIMITER_LINE.join([*corpus.stories(), ""]).encode() == shipped


@pytest.mark.parametrize(
    ("split", "n_stories"),
    [pytest.param("train", 47_144, marks=pytest.mark.slow), ("validation", 600)],
)
def test_the_hash_of_a_well_formed_text_file_is_the_hash_of_its_stories(
    split: str, n_stories: int
) -> None:
    if not TINYSTORIES.is_dir():
        pytest.skip("the TinyStories files are not beside this checkout")
    corpus = open_corpus(TINYSTORIES, split=split)
    file = (TINYSTORIES / f"{split}.txt").read_bytes()
    assert (corpus.name, corpus.n_stories) == ("tinystories", n_stories)
    assert corpus.sha256 == hashlib.sha256(file).hexdigest()


# White space, line ends of three systems, delimiters in odd places, marks, letters of all kinds.
awkward_text = st.lists(
    st.one_of(
        st.sampled_from(["<|endoftext|>", "\n", "\r\n", "\r", " ", "\t", "\x0b", "\x85", "\ufeff"]),
        st.text(st.characters(codec="utf-8"), max_size=4),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(awkward_text, max_size=8), solid=st.text("ab ", min_size=1))
def test_any_texts_are_the_same_corpus_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], solid: str
) -> None:
    texts = [*texts, f"x{solid}x"]
    folder = tmp_path_factory.mktemp("formats")
    for suffix, write in WRITERS.items():
        write(folder / f"book{suffix}", texts)
    corpora = [open_corpus(folder / f"book{suffix}") for suffix in WRITERS]
    assert len({corpus.sha256 for corpus in corpora}) == 1
    stories = list(corpora[0].stories())
    assert all(list(corpus.stories()) == stories for corpus in corpora)
    assert all(story == story.strip() != "" for story in stories)
    # Written out again they are the same stories, and the file's own hash is the corpus's.
    write_txt(folder / "again.txt", stories)
    assert list(open_corpus(folder / "again.txt").stories()) == stories
    assert hashlib.sha256((folder / "again.txt").read_bytes()).hexdigest() == corpora[0].sha256


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_single_file_is_whole_by_default_and_can_be_read_twice(
    tmp_path: Path, suffix: str
) -> None:
    WRITERS[suffix](tmp_path / f"book{suffix}", STORIES)
    corpus = open_corpus(str(tmp_path / f"book{suffix}"))
    assert (corpus.name, corpus.split, corpus.n_stories) == (f"book{suffix}", "all", 100)
    assert list(corpus.stories()) == list(corpus.stories()) == STORIES


def test_a_single_file_is_split_by_story_whatever_the_order(tmp_path: Path, book: Path) -> None:
    train, held_out = (open_corpus(book, split=split) for split in ("train", "validation"))
    expected = [s for s in STORIES if int(hashlib.sha256(s.encode()).hexdigest()[:8], 16) % 20 == 0]
    assert list(held_out.stories()) == expected
    assert list(train.stories()) == [s for s in STORIES if s not in expected]
    assert train.n_stories + held_out.n_stories == 100
    assert len({train.sha256, held_out.sha256, open_corpus(book).sha256}) == 3

    write_jsonl(tmp_path / "twice.jsonl", STORIES[::-1] + STORIES)
    twice = open_corpus(tmp_path / "twice.jsonl", split="validation")
    assert list(twice.stories()) == expected[::-1] + expected


def test_about_a_twentieth_of_the_embedded_stories_is_held_out() -> None:
    held_out = open_corpus("embedded", split="validation")
    train = open_corpus("embedded", split="train")
    assert (held_out.n_stories, train.n_stories) == (43, 617)
    assert not set(held_out.stories()) & set(train.stories())


def test_a_folder_keeps_its_own_splits(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", STORIES[:90])
    write_txt(tmp_path / "validation.txt", STORIES[90:])
    (tmp_path / "train.txt.bak").write_text("not read")
    by_default = open_corpus(tmp_path)
    assert (by_default.name, by_default.split) == (tmp_path.name, "validation")
    assert list(by_default.stories()) == STORIES[90:]
    assert list(open_corpus(tmp_path, split="train").stories()) == STORIES[:90]
    refused(tmp_path, "splits of its own", "'train'", "'validation'", split="all")


def test_progress_counts_the_stories_read(tmp_path: Path) -> None:
    write_txt(tmp_path / "long.txt", [f"Story {i}." for i in range(2_500)])
    seen: list[int] = []
    assert open_corpus(tmp_path / "long.txt", progress=seen.append).n_stories == 2_500
    assert seen == [1_000, 2_000]


def test_a_file_that_changes_after_it_was_opened_is_noticed(book: Path) -> None:
    corpus = open_corpus(book)
    write_txt(book, [*STORIES[:-1], "Another story."])
    with pytest.raises(InputError, match=r"book\.txt.* was changed"):
        list(corpus.stories())


@pytest.mark.parametrize("spec", ["no/such.txt", "./no/such", "/no/such", "nowhere", "a/b/c"])
def test_a_missing_path_is_never_taken_for_a_hub_dataset(spec: str) -> None:
    refused(spec, spec, "does not exist", "owner/name", "embedded")


def test_a_path_object_is_never_a_hub_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(Path("owner/name"), "owner/name does not exist")


def test_an_existing_path_wins_over_a_hub_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    write_txt(tmp_path / "owner" / "name" / "validation.txt", STORIES)
    monkeypatch.chdir(tmp_path)
    assert open_corpus("owner/name").n_stories == 100


@pytest.mark.parametrize("content", [b"", b"\n \n", b"<|endoftext|>\n\n<|endoftext|>\n"])
def test_a_file_without_stories_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "empty.txt").write_bytes(content)
    refused(tmp_path / "empty.txt", "empty.txt", "holds no stories")
    refused(tmp_path / "empty.txt", "empty.txt", "holds no stories", split="validation")


def test_a_file_too_small_to_split_is_refused_on_both_sides(tmp_path: Path) -> None:
    kept = next(story for story in STORIES if not in_validation(story))
    write_txt(tmp_path / "one.txt", [kept])
    for split in ("train", "validation"):
        refused(tmp_path / "one.txt", "cannot be split", "validation would be empty", split=split)
    held_out = next(story for story in STORIES if in_validation(story))
    write_txt(tmp_path / "one.txt", [held_out])
    refused(tmp_path / "one.txt", "train would be empty", split="train")


def test_unknown_splits_and_suffixes_name_the_allowed_ones(tmp_path: Path, book: Path) -> None:
    refused(book, "'test'", "train, validation, all", split="test")
    book.rename(tmp_path / "book.csv")
    refused(tmp_path / "book.csv", "'.csv'", ".txt, .parquet, .jsonl")


def test_a_folder_without_the_split_or_with_two_of_it_is_refused(tmp_path: Path) -> None:
    write_txt(tmp_path / "train.txt", STORIES)
    refused(tmp_path, "holds no validation.*", "validation.txt")
    write_jsonl(tmp_path / "train.jsonl", STORIES)
    refused(tmp_path, "train.jsonl and train.txt", "keep one", split="train")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(book: Path) -> None:
    book.chmod(0)
    refused(book, "cannot be read")


def test_a_corpus_shows_its_identity_and_not_its_reader(book: Path) -> None:
    corpus = open_corpus(book)
    assert corpus == open_corpus(book)
    assert re.fullmatch(
        r"Corpus\(name='book.txt', split='all', sha256='[0-9a-f]{64}', n_stories=100\)",
        repr(corpus),
    )
    assert isinstance(corpus, Corpus)
