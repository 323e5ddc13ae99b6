"""The notebooks' tokenizer file cuts text as the notebooks did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lt_interp.corpus.article_tokenizer import open_tokenizer
from lt_interp.corpus.gpt2_bpe import Gpt2Bpe
from lt_interp.corpus.gpt2_compact import shipped_bpe_folder
from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.errors import InputError

TEXT = "Once upon a time there was a little girl named Lily."
# GPT-2's ids of the text, and those that the article prints for them in its own vocabulary.
GPT2 = [7454, 2402, 257, 640, 612, 373, 257, 1310, 2576, 3706, 20037, 13]
ARTICLE = [58, 62, 9, 39, 41, 10, 9, 40, 63, 80, 29, 3]
SIZE = 100


def notebook_file() -> dict[str, Any]:
    """What notebook 00 writes, for a hundred ids with the article's in their places."""
    table = dict(zip(ARTICLE, GPT2, strict=True))
    others = iter(i for i in range(1000) if i not in GPT2)
    table = {i: table.get(i) or next(others) for i in range(3, SIZE)}
    return {
        "vocab_size": SIZE,
        "gpt2_to_compact": {str(v): k for k, v in table.items()},
        "compact_to_gpt2": {str(k): v for k, v in table.items()},
    }


def write(folder: Path, document: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    return folder


def test_ids_are_the_articles(tmp_path: Path) -> None:
    folder = write(tmp_path / "tokenizer", notebook_file())
    for place in (folder, folder / "tokenizer.json"):
        tokenizer = open_tokenizer(place)
        assert tokenizer.encode(TEXT) == ARTICLE
        assert tokenizer.decode(ARTICLE) == TEXT
        assert tokenizer.encode("Ω") == [tokenizer.unk_id] * 2  # two bytes, kept by neither
        assert (tokenizer.kind, tokenizer.d_vocab) == ("gpt2-compact", SIZE)
        assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.eos_id) == (0, 1, 2)


def test_what_is_not_on_record_stays_so_when_it_is_saved(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(write(tmp_path / "theirs", notebook_file()))
    tokenizer.save(tmp_path / "ours")
    saved = load_tokenizer(tmp_path / "ours")
    assert (saved.sha256, saved.encode(TEXT)) == (tokenizer.sha256, ARTICLE)
    assert saved.counts is saved.corpus_sha256 is None
    description = json.loads((tmp_path / "ours" / "vocabulary.json").read_text())
    assert description["counts"] is description["corpus_sha256"] is None


def test_one_of_ours_opens_as_before(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path / "bytes")
    assert open_tokenizer(tmp_path / "bytes").sha256 == ByteTokenizer().sha256


def changed(change: Any) -> dict[str, Any]:
    document = notebook_file()
    change(document, document["compact_to_gpt2"])
    return document


N_GPT2 = len(Gpt2Bpe(shipped_bpe_folder()).tokens)


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"version": "1.0"}, "no tokenizer of the notebooks: it has no compact_to_gpt2"),
        ([1], "no tokenizer of the notebooks"),
        (changed(lambda d, t: t.pop("7")), "must have every id from 3"),
        (changed(lambda d, t: t.update({"2": 1})), "must have every id from 3"),
        (changed(lambda d, t: d.update(vocab_size=101)), "must have every id from 3"),
        (changed(lambda d, t: d.update(vocab_size="100")), "must have every id from 3"),
        (changed(lambda d, t: d.update(vocab_size=2)), "must have every id from 3"),
        (changed(lambda d, t: d.update(compact_to_gpt2=[1])), "must have every id from 3"),
        (changed(lambda d, t: t.update({"7": N_GPT2})), "no id of GPT-2"),
        (changed(lambda d, t: t.update({"7": -1})), "no id of GPT-2"),
        (changed(lambda d, t: t.update({"7": 1.5})), "no id of GPT-2"),
        (changed(lambda d, t: t.update({"7": t["8"]})), "has two ids"),
    ],
)
def test_damage_is_named(document: Any, part: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json") as caught:
        open_tokenizer(write(tmp_path / "theirs", document))
    assert part in str(caught.value)


def test_no_tokenizer_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no tokenizer folder"):
        open_tokenizer(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"is not a tokenizer: it has no vocabulary\.json"):
        open_tokenizer(tmp_path)
    (tmp_path / "half.json").write_text("{")
    with pytest.raises(InputError, match=r"half\.json is not valid JSON"):
        open_tokenizer(tmp_path / "half.json")
