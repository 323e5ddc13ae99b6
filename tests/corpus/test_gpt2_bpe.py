"""The full BPE against GPT-2's published files and against the algorithm written out by hand."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lt_interp.corpus.gpt2_bpe import END_OF_TEXT, MERGES_FILE, Gpt2Bpe, byte_letters
from lt_interp.corpus.gpt2_compact import shipped_bpe_folder
from lt_interp.errors import InputError

SHARED_BPE = Path(__file__).parents[3] / "shared" / "data" / "gpt2_bpe"
BPE = Gpt2Bpe(shipped_bpe_folder())
RANK = {pair: rank for rank, pair in enumerate(BPE.merges)}
WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
PARTS = [" ", "  ", "\n", "\t", "'", "'s", "'ll", "ing", "the", "Lily", "aaa", "é", "12", "!", "🎉"]
PARTS += [" a", "a ", "!  b", "\t c", "\u2003", "\x85 d", "\x1c e", " \u00a0f"]
TEXTS = st.lists(st.sampled_from(PARTS) | st.sampled_from("abcdeinorst"), max_size=25).map("".join)


def by_hand(text: str) -> list[int]:
    """Radford et al.'s loop: join the strongest pair of a word until no pair is known."""
    letters = byte_letters()
    ids = []
    for word in WORD.findall(text):
        parts = [letters[byte] for byte in word.encode()]
        while pairs := [pair for pair in pairwise(parts) if pair in RANK]:
            best, joined, i = min(pairs, key=RANK.__getitem__), [], 0
            while i < len(parts):
                both = tuple(parts[i : i + 2]) == best
                joined.append("".join(parts[i : i + 2]) if both else parts[i])
                i += 2 if both else 1
            parts = joined
        ids += [BPE.id_of[part] for part in parts]
    return ids


def test_example_of_the_article() -> None:
    ids = BPE.encode_batch(["Once upon a time there was a little girl named Lily."])[0]
    assert ids.tolist() == [7454, 2402, 257, 640, 612, 373, 257, 1310, 2576, 3706, 20037, 13]


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_encoding_is_the_published_algorithm(text: str) -> None:
    assert BPE.encode_batch([text])[0].tolist() == by_hand(text)


def test_byte_letters_are_distinct_and_printable() -> None:
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert all(letter.isprintable() and not letter.isspace() for letter in letters)
    assert letters[ord("A")] == "A"
    assert letters[ord(" ")] == "Ġ"


def test_text_never_yields_the_end_of_text_token() -> None:
    ids = BPE.encode_batch([f"The end.{END_OF_TEXT}"])[0]
    assert BPE.id_of[END_OF_TEXT] == 50256
    assert 50256 not in ids
    assert "".join(BPE.tokens[i] for i in ids) == f"TheĠend.{END_OF_TEXT}"


def test_counts_are_those_of_single_stories() -> None:
    stories = ["a cat and a dog", "", "a dog"] * 400  # more than one batch
    seen: list[int] = []
    counts = BPE.count(stories, progress=seen.append)
    expected = Counter(i for story in stories[:3] for i in by_hand(story) * 400)
    assert {int(i): int(counts[i]) for i in np.flatnonzero(counts)} == dict(expected)
    assert seen == [1000, 1200]


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        BPE.encode_batch(["fine", "\ud83c"])


@pytest.mark.parametrize("line", ["Ġ t", "x", "Ġt nothere", "a  b", ""])
def test_damaged_merges_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / MERGES_FILE).write_text(f"#version: 0.2\nĠ t\n{line}\nh e\n", encoding="utf-8")
    with pytest.raises(InputError, match="damaged at merge 1"):
        Gpt2Bpe(tmp_path)


def test_missing_or_unreadable_merges_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Gpt2Bpe(tmp_path)
    (tmp_path / MERGES_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        Gpt2Bpe(tmp_path)


@pytest.mark.skipif(not SHARED_BPE.is_dir(), reason="GPT-2's own files are not here")
def test_shipped_merges_are_gpt2s() -> None:
    encoder = json.loads((SHARED_BPE / "encoder.json").read_text(encoding="utf-8"))
    assert BPE.id_of == encoder
    shipped = (shipped_bpe_folder() / MERGES_FILE).read_bytes()
    assert shipped == (SHARED_BPE / MERGES_FILE).read_bytes()


def test_what_is_remembered_changes_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["The cat sat on the mat.", "A dog, the cat and 12 birds.", "The cat sat on the mat."]
    expected = [ids.tolist() for ids in BPE.encode_batch(texts)]
    monkeypatch.setattr("lt_interp.corpus.gpt2_bpe.REMEMBERED", 3)
    fresh = Gpt2Bpe(shipped_bpe_folder())
    for _ in range(3):
        assert [fresh.encode_batch([text])[0].tolist() for text in texts] == expected
