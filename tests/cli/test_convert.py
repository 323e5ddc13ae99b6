"""`lt-interp convert`: what it makes is taken by every command, what it refuses costs one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lt_interp as lt
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.files import sha256_file

from .conftest import check_line


@pytest.fixture(scope="session")
def d_vocab(characters: Path) -> int:
    return load_tokenizer(characters).d_vocab


def bigram(d_vocab: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "embedding.weight": torch.randn(d_vocab, 128, generator=generator),
        "unembed.weight": torch.randn(d_vocab, 128, generator=generator) / 8,
        "unembed.bias": torch.zeros(d_vocab),
    }


@pytest.fixture
def theirs(tmp_path: Path, d_vocab: int) -> Path:
    torch.save({"model_state_dict": bigram(d_vocab), "d_model": 128}, tmp_path / "theirs.pt")
    return tmp_path / "theirs.pt"


def test_a_converted_checkpoint_is_taken_by_every_command(
    run: Any, theirs: Path, characters: Path, stories_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "their-bigram"
    words = ["convert", theirs, "--stage", "03_bigram", "--tokenizer", characters]
    result = run(*words, "--out", out)
    assert result.exit_code == 0
    assert result.stdout == f"{out}: {lt.load(out)!r}\n"
    assert result.stderr == (
        "note: the file fits 01_bag_of_words as well; nothing in it tells them apart\n"
    )
    (scored,) = json.loads(run("evaluate", out, "--corpus", stories_file, "--json").stdout)
    assert scored["id"] == "their-bigram"
    assert run("generate", out, "Tom", "--max-new-tokens", "5").stdout.startswith("Tom")
    assert run("hooks", out).stdout == run("hooks", "03_bigram").stdout
    pages = tmp_path / "pages"
    result = run("analyze", "evolution", "--stage", out, "--corpus", stories_file, "--out", pages)
    assert result.exit_code == 0, result.output
    page = (pages / "evolution" / "report.md").read_text(encoding="utf-8")
    file = f"converted from <code>theirs.pt</code>, sha256 <code>{sha256_file(theirs)[:12]}</code>"
    assert f"| {file} | – | – | – |" in page
    assert "What <code>their-bigram</code> trained on is not on record" in page
    for slip in ("<NA>", "| None", " nan "):
        assert slip not in page


def test_a_shorter_context_is_measured_on_shorter_rows(
    run: Any, d_vocab: int, characters: Path, stories_file: Path, tmp_path: Path
) -> None:
    state = bigram(d_vocab)
    state["token_embedding.weight"] = state.pop("embedding.weight")
    state["position_embedding.weight"] = torch.ones(40, 128)
    path, out, pages = save(state, tmp_path / "a.pt"), tmp_path / "short", tmp_path / "pages"
    words = ["convert", path, "--stage", "02_bow_position", "--tokenizer", characters]
    assert run(*words, "--out", out).exit_code == 0
    assert run("evaluate", out, "--corpus", stories_file).exit_code == 0
    result = run("analyze", "evolution", "--stage", out, "--corpus", stories_file, "--out", pages)
    assert result.exit_code == 0, result.output
    assert "tokens 2 to 40 of every row of 40" in (pages / "evolution" / "report.md").read_text()


def test_what_is_assumed_is_said(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({key: t.double() for key, t in bigram(4096).items()}, "theirs.pt")
    result = run("convert", "theirs.pt", "--stage", "01_bag_of_words")
    assert result.exit_code == 0
    notes = result.stderr.splitlines()
    assert [line.startswith("note: ") for line in notes] == [True] * 3
    assert "64 bits were rounded to float32" in notes[0]
    assert "fits 03_bigram as well" in notes[1]
    assert "shipped tokenizer was assumed" in notes[2]
    folder = tmp_path / "runs" / "01_bag_of_words-converted"
    assert json.loads((folder / "run.json").read_text())["tokenizer"]["named_by_user"] is False
    assert not (folder / "tokenizer").exists()


class Asks:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.place}'",)


def save(value: Any, path: Path) -> Path:
    torch.save(value, path)
    return path


REFUSED: dict[str, tuple[Callable[[Path, int], Path], list[str], list[str]]] = {
    "missing": (lambda p, n: p / "no.pt", [], ["there is no file"]),
    "folder": (lambda p, n: p, [], ["is a folder"]),
    "no checkpoint": (
        lambda p, n: p / "text.txt", [], ["text.txt is not a checkpoint of torch.save"],
    ),
    "code": (
        lambda p, n: save({"model": Asks(p / "made")}, p / "a.pt"), [],
        ["asks for", "system to be run", "nothing of it was"],
    ),
    "keys": (
        lambda p, n: save({**bigram(n), "x": torch.ones(1), "y": torch.ones(1)}, p / "a.pt"), [],
        ["unexpected x; unexpected y"],
    ),
    "another stage": (
        lambda p, n: save(bigram(n), p / "a.pt"), ["--stage", "04_attention"],
        ["missing attention.W_q.weight", "it would fit 01_bag_of_words or 03_bigram"],
    ),
    "no stage": (
        lambda p, n: save(bigram(n), p / "a.pt"), ["--stage", "03_bigrm"], ["nearest: 03_bigram"],
    ),
    "no notebook": (
        lambda p, n: save(bigram(n), p / "a.pt"), ["--stage", "byte_gpt"],
        ["the notebooks have no byte_gpt", "03_bigram"],
    ),
    "vocabulary": (
        lambda p, n: save(bigram(n + 5), p / "a.pt"), [], ["--tokenizer", "a vocabulary of"],
    ),
    "no tokenizer": (
        lambda p, n: save(bigram(n), p / "a.pt"), ["--tokenizer", "nowhere"],
        ["no tokenizer folder nowhere"],
    ),
    "taken": (
        lambda p, n: save(bigram(n), p / "a.pt"), ["--out", "."], ["is there already and not"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_nothing(
    what: str,
    run: Any,
    d_vocab: int,
    characters: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("Once upon a time.")
    make, words, parts = REFUSED[what]
    path = make(tmp_path, d_vocab)
    before = sorted(tmp_path.rglob("*"))
    given = ["--stage", "03_bigram", "--tokenizer", characters, "--out", "out"]
    check_line(run("convert", path, *given, *words), *parts)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_refusal_in_a_process_of_its_own(process: Any, tmp_path: Path) -> None:
    save({"model_state_dict": {"embedding.weight": Asks(tmp_path / "made")}}, tmp_path / "a.pt")
    done = process("convert", "a.pt", "--stage", "03_bigram")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: a.pt asks for ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
