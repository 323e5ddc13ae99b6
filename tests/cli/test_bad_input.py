"""Bad input: one clear line on standard error, status 2, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from lt_interp.cli import outputs

from .conftest import check_line


def folder(path: Path, **files: str) -> Path:
    """A folder with `train.txt` and the like."""
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.txt").write_text(text, encoding="utf-8")
    return path


def bytes_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def no_text_parquet(path: Path) -> Path:
    parquet.write_table(pyarrow.table({"story": ["Once."]}), path)
    return path


def no_text_jsonl(path: Path) -> Path:
    path.write_text(json.dumps({"story": "Once."}) + "\n")
    return path


CORPORA: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "missing path": (lambda p: p / "none.txt", ["none.txt does not exist", "embedded"]),
    "missing folder": (lambda p: p / "a" / "b" / "c", ["does not exist"]),
    "empty file": (lambda p: bytes_file(p / "empty.txt", b""), ["empty.txt holds no stories"]),
    "not UTF-8": (lambda p: bytes_file(p / "a.txt", b"Caf\xe9."), ["a.txt is not UTF-8", "0xe9"]),
    "no text column, parquet": (
        lambda p: no_text_parquet(p / "a.parquet"), ["no 'text' column", "'story'"],
    ),
    "no text column, jsonl": (
        lambda p: no_text_jsonl(p / "a.jsonl"), ["line 1 has no 'text' column", "'story'"],
    ),
    "not parquet": (lambda p: bytes_file(p / "a.parquet", b"PK"), ["is not a parquet file"]),
    "unknown suffix": (lambda p: bytes_file(p / "a.csv", b"x"), ["'.csv'", ".parquet"]),
    "no split": (lambda p: folder(p / "f", test="Once."), ["holds no", "name a single file"]),
}  # fmt: skip


@pytest.mark.parametrize("what", CORPORA)
def test_a_corpus_that_cannot_be_read(what: str, run: Any, tmp_path: Path) -> None:
    make, parts = CORPORA[what]
    corpus = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    check_line(run("train", "03_bigram", "--corpus", corpus, "--out", out), *parts)
    build = ["tokenizer", "build", "--vocab-size", "5", "--corpus", corpus, "--out", out]
    check_line(run(*build), *parts)
    check_line(run("tokenizer", "coverage", "--corpus", corpus, "--json"), *parts)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_would_move_a_terminals_cursor_is_written_out(run: Any) -> None:
    said = run("tokenizer", "coverage", "--corpus", "\x1b[2Jgone\u202e.txt")
    check_line(said, r"\x1b[2Jgone\u202e.txt does not exist")


@pytest.mark.parametrize("corpus", ["~nobody-of-that-name/a.txt", "x" * 300])
def test_what_no_file_can_be_called(corpus: str, run: Any, tmp_path: Path) -> None:
    check_line(run("tokenizer", "coverage", "--corpus", corpus), "is no path", "name a file")
    check_line(run("train", "03_bigram", "--corpus", corpus, "--out", tmp_path), "is no path")


@pytest.mark.parametrize("what", ["missing path", "empty file", "not UTF-8"])
def test_a_corpus_that_cannot_be_scored(what: str, run: Any, runs: Path, tmp_path: Path) -> None:
    make, parts = CORPORA[what]
    scored = run("evaluate", runs / "03_bigram", "--corpus", make(tmp_path), "--json")
    check_line(scored, *parts)


def test_fewer_tokens_than_one_row(run: Any, runs: Path, tmp_path: Path) -> None:
    short = bytes_file(tmp_path / "short.txt", b"Tom had a cat.\n<|endoftext|>\nThe cat slept.\n")
    parts = ["short.txt", "fewer than one row of 256"]
    check_line(run("evaluate", runs / "03_bigram", "--corpus", short), *parts)
    both = folder(tmp_path / "both", train="Tom had a cat.", validation="Tom had a dog.")
    out = tmp_path / "out"
    check_line(run("train", "03_bigram", "--corpus", both, "--out", out), "fewer than one row")
    assert not out.exists()


def test_a_file_too_small_to_hold_stories_out(run: Any, tmp_path: Path) -> None:
    one = bytes_file(tmp_path / "one.txt", b"Tom had a cat.\n")
    check_line(
        run("train", "03_bigram", "--corpus", one, "--out", tmp_path / "o"), "cannot be split"
    )


def test_a_hub_dataset_without_network(process: Any, tmp_path: Path) -> None:
    words = ["tokenizer", "build", "--vocab-size", "8", "--out", "tok", "--corpus"]
    done = process(*words, "nobody-here/NoSuchStories")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: dataset 'nobody-here/NoSuchStories' cannot be loaded")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["train"], ["hooks"], ["evaluate"], ["generate"], ["report", "--stage"]],
    ids=lambda words: words[0],
)
def test_an_unknown_stage_lists_the_nearest_names(
    words: list[str], run: Any, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: runs)
    monkeypatch.chdir(tmp_path)
    more = ["Once"] if words == ["generate"] else []
    check_line(run(*words, "04_atention", *more), "'04_atention'", "nearest: 04_attention")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["03_bigram", "--all"]])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_neither_or_both_of_stages_and_all(command: str, words: list[str], run: Any) -> None:
    check_line(run(command, *words), "--all alone")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--recipe", "cake"], ["'cake'", "article, ladder"]),
        (["--epochs", "0"], ["epochs must be above 0"]),
        (["--epochs", "-1"], ["epochs must be above 0"]),
        (["--epochs", "nan"], ["epochs must be above 0 and finite"]),
        (["--epochs", "inf"], ["epochs must be above 0 and finite"]),
        (["--epochs", "0.0001"], ["make no batch"]),
        (["--epochs", "1e300"], ["1e+300 epochs are more than 1,000,000,000 steps"]),
        (["--tokenizer", "nowhere"], ["no tokenizer folder nowhere"]),
        (["--tokenizer", "."], ["is not a tokenizer"]),
        (["--family", "ladder"], ["both stages and --family", "--all alone"]),
    ],
)
def test_training_options(
    words: list[str],
    parts: list[str],
    run: Any,
    stories_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # as a folder with splits, for a single file adds a note on how it is split
    text = stories_file.read_text(encoding="utf-8")
    both = folder(tmp_path / "both", train=text, validation=text)
    result = run("train", "03_bigram", "--corpus", both, "--out", "out", *words)
    check_line(result, *parts)
    assert list(tmp_path.iterdir()) == [both]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--top-p", "0"], "top_p must be at least 1e-06 and at most 1, not 0.0"),
        (["--top-p", "1e-46"], "top_p must be at least 1e-06 and at most 1, not 1e-46"),
        (["--top-p", "1.5"], "top_p must be at least 1e-06 and at most 1, not 1.5"),
        (["--top-p", "nan"], "top_p must be"),
        (["--top-k", "0"], "top_k must be 1 or more"),
        (["--temperature", "-1"], "temperature must be 0 or more"),
        (["--temperature", "inf"], "temperature must be 0 or more"),
        (["--max-new-tokens", "-1"], "max_new_tokens must be 0 or more"),
    ],
)
def test_sampling_options(words: list[str], part: str, run: Any, runs: Path) -> None:
    check_line(run("generate", runs / "03_bigram", "Once", *words), part)


def test_a_family_that_there_is_not(run: Any) -> None:
    for command in ("train", "evaluate", "report"):
        parts = ["no family 'gpts'", "ladder, numpy_gpt, char_ablations, four_layer_gpt"]
        check_line(run(command, "--family", "gpts"), *parts)


def test_a_context_beyond_learned_positions(run: Any, runs: Path, stories_file: Path) -> None:
    shipped = ["evaluate", "05_attn_position", "--corpus", stories_file, "--context", "300"]
    check_line(run(*shipped), "positions are learned up to 256 tokens", "alibi, rotary")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--pos", "4"], "no position 4 in 4 tokens; choose 0 to 3"),
        (["--top-p", "0"], "top_p must be at least"),
        (["--out", "page.html"], "page.html does not end in .md"),
    ],
)
def test_xrays_that_cannot_be_taken(words: list[str], part: str, run: Any, runs: Path) -> None:
    check_line(run("xray", "Once", "--stage", runs / "03_bigram", *words), part)


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        ("", "no tokens"),
        ("a" * 300, "300 tokens and the context 256"),
        ("\ud800", "UTF-8"),
        ("ŻŹ", "no token of 'ŻŹ' is in the vocabulary"),
    ],
    ids=["empty", "long", "half a character", "unknown"],
)
def test_prompts_that_no_model_can_read(prompt: str, part: str, run: Any, runs: Path) -> None:
    check_line(run("generate", runs / "03_bigram", prompt), part)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--kind", "wordpiece", "--vocab-size", "9"], "gpt2-compact, character, byte"),
        ([], "needs --vocab-size"),
        (["--vocab-size", "3"], "choose 4 to"),
        (["--vocab-size", "50000"], "of the 50000 ids asked for"),
        (["--kind", "character", "--vocab-size", "5000"], "distinct characters"),
        (["--vocab-size", "8", "--split", "test"], "unknown split 'test'"),
    ],
)
def test_tokenizers_that_cannot_be_built(
    words: list[str], part: str, run: Any, stories_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tok"
    check_line(run("tokenizer", "build", "--corpus", stories_file, "--out", out, *words), part)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_is_never_built_over_what_is_there(
    run: Any, stories_file: Path, tmp_path: Path
) -> None:
    kept = bytes_file(tmp_path / "kept.txt", b"mine")
    words = ["tokenizer", "build", "--kind", "character", "--corpus", stories_file, "--out"]
    check_line(run(*words, tmp_path), "not empty")
    check_line(run(*words, kept / "tok"), f"{kept} is a file")
    assert kept.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [kept]


def test_output_where_nothing_can_be_written(
    run: Any, stories_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = bytes_file(tmp_path / "kept", b"mine")
    train = ["train", "03_bigram", "--corpus", stories_file, "--out"]
    check_line(run(*train, kept), "is a file")
    plot = ["tokenizer", "coverage", "--corpus", stories_file, "--plot"]
    check_line(run(*plot, kept / "a.svg"), "is a file")
    check_line(run(*plot, tmp_path / "a.png"), "does not end in .svg")
    # whoever runs the tests may be allowed everything, so the refusal is planted
    monkeypatch.setattr(outputs.os, "access", lambda path, mode: False)
    check_line(run(*train, tmp_path / "new"), "no permission in")
    assert list(tmp_path.iterdir()) == [kept]


def test_epochs_beyond_any_number_of_steps(run: Any, stories_file: Path, tmp_path: Path) -> None:
    words = ["train", "03_bigram", "--corpus", stories_file, "--out", tmp_path / "runs"]
    result = run(*words, "--epochs", "1e308")
    assert result.exit_code == 2
    assert "more than 1,000,000,000 steps" in result.stderr.splitlines()[-1]


def test_a_run_of_other_settings_is_left_alone(
    run: Any, runs: Path, stories_file: Path, characters: Path
) -> None:
    weights = (runs / "03_bigram" / "model.safetensors").read_bytes()
    result = run(
        "train", "03_bigram", "--corpus", stories_file, "--tokenizer", characters,
        "--epochs", "2", "--out", runs,
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds another run (it differs in recipe.epochs: " in result.stderr.splitlines()[-1]
    assert (runs / "03_bigram" / "model.safetensors").read_bytes() == weights


def test_an_analysis_that_is_not_there(run: Any, tmp_path: Path) -> None:
    for words in (["report", "--only", "nonsense"], ["analyze", "nonsense"]):
        check_line(run(*words, "--out", tmp_path), "position_blindness")
        assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("analysis", ["evolution", "attention", "logit-lens"])
@pytest.mark.parametrize(
    ("prompt", "part"), [("", "tokens"), ("a" * 300, "300 tokens"), ("ŻŹ", "is in the vocabulary")]
)
def test_prompts_that_no_analysis_can_read(
    analysis: str, prompt: str, part: str, run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    words = ["analyze", analysis, "--stage", runs / "04_attention", "--corpus", stories_file]
    result = run(*words, "--prompt", prompt, "--out", tmp_path / "pages")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(f"error: prompt {prompt!r}: ")
    assert part in result.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.md"))


def test_a_choice_that_an_analysis_does_not_have(run: Any, tmp_path: Path) -> None:
    for flag, value in (("--tokens", 10), ("--prompt", "Tom")):
        result = run("analyze", "position-blindness", flag, value, "--out", tmp_path)
        check_line(result, f"position_blindness takes no {flag}")
