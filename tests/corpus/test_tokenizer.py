"""What every kind of tokenizer promises, and how a folder is opened or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lt_interp.corpus.gpt2_compact import build_gpt2_compact
from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character
from lt_interp.corpus.tokenizer import Tokenizer, default_tokenizer, load_tokenizer
from lt_interp.errors import InputError
from lt_interp.files import trained_folder

STORY = 'Tim\'s café was shut.\n\nTim said, "Oh no! No  cake today?"'
SHA = "0" * 64
KINDS: dict[str, Callable[[], Tokenizer]] = {
    "gpt2-compact": lambda: build_gpt2_compact([STORY], vocab_size=20, corpus_sha256=SHA),
    "byte": ByteTokenizer,
    "character": lambda: build_character([STORY], corpus_sha256=SHA),
}


@pytest.fixture(params=list(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return KINDS[request.param]()


def test_a_saved_tokenizer_comes_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "a")
    back = load_tokenizer(tmp_path / "a")
    assert type(back) is type(tokenizer)
    assert back.sha256 == tokenizer.sha256
    assert back.encode(STORY) == tokenizer.encode(STORY)
    assert (back.pad_id, back.unk_id, back.eos_id) == (
        tokenizer.pad_id, tokenizer.unk_id, tokenizer.eos_id,
    )  # fmt: skip
    back.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_batches_and_single_texts_agree(tokenizer: Tokenizer) -> None:
    texts = [STORY, "", "Oh no!"]
    batch = tokenizer.encode_batch(texts)
    assert [ids.tolist() for ids in batch] == [tokenizer.encode(text) for text in texts]
    assert all(ids.dtype == np.int32 for ids in batch)


def test_str_tokens_are_what_ids_decode_to_alone(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.str_tokens) == tokenizer.d_vocab
    assert [tokenizer.decode([i]) for i in range(tokenizer.d_vocab)] == list(tokenizer.str_tokens)


def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer) -> None:
    for wrong in (-1, tokenizer.d_vocab):
        with pytest.raises(InputError, match=f"token id {wrong} is outside"):
            tokenizer.decode([0, wrong])


def test_sha256_tells_tokenizers_apart() -> None:
    made = {KINDS[kind]().sha256 for kind in KINDS}
    assert len(made) == 3
    first = build_character(["ab"], corpus_sha256="1" * 64)
    assert first.sha256 == build_character(["abab"], corpus_sha256="2" * 64).sha256
    assert first.sha256 != build_character(["bba"], corpus_sha256="1" * 64).sha256


def test_a_folder_of_something_else_is_not_replaced(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="is not a tokenizer"):
        tokenizer.save(tmp_path)
    with pytest.raises(InputError, match="is not a tokenizer"):
        tokenizer.save(tmp_path / "letter.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    tokenizer.save(tmp_path / "new")
    tokenizer.save(tmp_path / "new")
    assert load_tokenizer(tmp_path / "new").sha256 == tokenizer.sha256


def test_the_default_is_the_shipped_folder() -> None:
    shipped = load_tokenizer(trained_folder() / "tokenizers" / "tinystories-4096")
    assert default_tokenizer().sha256 == shipped.sha256


def test_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no tokenizer folder"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no vocabulary\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "morse"}, "unknown kind 'morse'"),
        ({"format_version": 2}, "format version 2, and this lt_interp reads 1"),
        ({"tokens": None}, "damaged"),
        ({"tokens": [1, 2]}, "damaged"),
        ({"tokens": ["<pad>", "<unk>", "<eos>", "a", "a"]}, "twice"),
        ({"tokens": ["<pad>", "<unk>", "<eos>", "ab"], "counts": [1]}, "single characters"),
        ({"tokens": ["<unk>", "<pad>", "<eos>", "a"], "counts": [1]}, "special tokens"),
        ({"counts": [1]}, "one count"),
        ({"sha256": SHA}, "do not have the sha256"),
    ],
)
def test_damaged_vocabularies_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    KINDS["character"]().save(tmp_path / "a")
    path = tmp_path / "a" / "vocabulary.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**found, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path / "a")


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_vocabularies_that_are_no_object_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "vocabulary.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"vocabulary\.json (is not valid JSON|has no format_version)"
    ):
        load_tokenizer(tmp_path)


def test_merges_that_lost_lines_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    shutil.copytree(trained_folder() / "tokenizers" / "tinystories-4096", folder)
    merges = (folder / "vocab.bpe").read_text(encoding="utf-8").splitlines()
    (folder / "vocab.bpe").write_text("\n".join(merges[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab\.bpe is not the one"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["<unk>"], "begin with the special tokens"),
        (["<pad>", "<unk>", "<eos>", "Ġnotatoken"], "no token 'Ġnotatoken'"),
    ],
)
def test_vocabularies_that_are_not_gpt2s_are_refused(
    tmp_path: Path, tokens: list[str], message: str
) -> None:
    KINDS["gpt2-compact"]().save(tmp_path / "a")
    path = tmp_path / "a" / "vocabulary.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**found, "tokens": tokens}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path / "a")
