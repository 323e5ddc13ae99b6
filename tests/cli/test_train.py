"""Training from the command line: where runs go, what is said, and what Ctrl-C leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lt_interp as lt
from lt_interp.cli.training_display import Watch
from lt_interp.corpus.sources import open_corpus
from lt_interp.training.metrics import read_metrics
from lt_interp.training.run_folder import read_card

QUICK = ["--epochs", "1"]


def test_a_single_file_is_split_and_the_rule_is_said(
    run: Any, stories_file: Path, characters: Path, tmp_path: Path
) -> None:
    words = ["train", "03_bigram", "--corpus", stories_file, "--tokenizer", characters, *QUICK]
    result = run(*words, "--seed", "2", "--out", tmp_path)
    assert result.exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["03_bigram-seed2"]
    note, *progress = result.stderr.splitlines()
    assert note.startswith("note: stories.txt is a single file; about one story in 20")
    assert progress[-1].startswith("03_bigram: step ")
    assert "validation" in progress[-1]
    assert result.stdout.startswith(f"{tmp_path / '03_bigram-seed2'}: trained, validation loss")


def test_a_folder_is_trained_on_its_own_splits_without_a_note(
    run: Any, stories_file: Path, characters: Path, tmp_path: Path
) -> None:
    text = stories_file.read_text(encoding="utf-8")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "validation"):
        (corpus / f"{split}.txt").write_text(text, encoding="utf-8")
    words = ["train", "03_bigram", "--corpus", corpus, "--tokenizer", characters, *QUICK]
    result = run(*words, "--out", tmp_path / "runs")
    assert result.exit_code == 0
    assert "note:" not in result.stderr


def test_a_stage_is_trained_with_its_own_tokenizer_and_context(
    run: Any, stories_file: Path, tmp_path: Path
) -> None:
    words = ["train", "byte_gpt", "char_no_residual_1", "--corpus", stories_file]
    result = run(*words, "--epochs", "0.3", "--context", "48", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    byte, char = (lt.load(tmp_path / name) for name in ("byte_gpt", "char_no_residual_1"))
    assert (byte.tokenizer.kind, byte.config.d_vocab, byte.config.n_ctx) == ("byte", 256, 48)
    seen = {c for story in open_corpus(stories_file, split="train").stories() for c in story}
    assert (char.tokenizer.kind, char.config.d_vocab) == ("character", len(seen) + 3)
    assert sum(p.numel() for p in byte.parameters()) == 222_784 - (128 - 48) * 64


def test_the_articles_recipe_of_the_byte_model_reads_33_bytes_a_step(
    run: Any, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "validation"):
        text = "The cat sat on the mat. The dog sat on the log. " * 20
        (corpus / f"{split}.txt").write_text(text, encoding="utf-8")
    words = ["train", "byte_gpt", "--recipe", "article", "--corpus", corpus]
    assert run(*words, "--out", tmp_path).exit_code == 0
    card = read_card(tmp_path / "byte_gpt")
    assert (card["steps"], card["tokens_seen"]) == (50, 50 * 32)
    assert card["identity"]["model"]["n_ctx"] == 128
    first, *_, last = read_metrics(tmp_path / "byte_gpt")
    # from near ln 256 = 5.55 at the start to something significantly lower, as the article says
    assert 4 < first["train_loss_nats"] < 5.6
    assert last["train_loss_nats"] < first["train_loss_nats"] - 1


def test_a_finished_run_is_not_trained_again(
    run: Any, runs: Path, stories_file: Path, characters: Path
) -> None:
    card = (runs / "03_bigram" / "run.json").read_bytes()
    words = ["train", "03_bigram", "--corpus", stories_file, "--tokenizer", characters, *QUICK]
    result = run(*words, "--out", runs)
    assert "trained already" in result.stdout
    assert (runs / "03_bigram" / "run.json").read_bytes() == card


def test_ctrl_c_ends_with_status_130_and_says_how_to_go_on(
    environment: dict[str, str], stories_file: Path, characters: Path, tmp_path: Path
) -> None:
    words = ["train", "03_bigram", "--corpus", stories_file, "--tokenizer", characters]
    words += ["--epochs", "100000", "--out", tmp_path]
    running = subprocess.Popen(
        [sys.executable, "-c", "from lt_interp.cli.app import main; main()", *map(str, words)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # a shell that put the tests in the background had this signal ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    metrics = tmp_path / "03_bigram" / "metrics.jsonl"
    deadline = time.monotonic() + 300  # importing is slow on a busy machine
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=60)
    assert (running.returncode, output) == (130, "")
    last = "interrupted; the same command resumes from the last snapshot"
    assert errors.splitlines()[-1] == last
    assert "Traceback" not in errors
    assert not (tmp_path / "03_bigram" / "run.json").exists()


def test_the_speed_counts_what_this_process_did_and_losses_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 14.0, 18.0])
    monkeypatch.setattr("lt_interp.cli.training_display.time.monotonic", lambda: next(clock))
    watch = Watch(1000)
    assert [watch.begin(501), watch.begin(502)] == [True, False]  # resumed after 500 steps
    first = watch.figures(505, {"train_loss_nats": 2.5, "val_loss_nats": 3.0})
    assert first == "1,000 tokens/s, train 2.500 nats, validation 3.000 nats"
    second = watch.figures(517, {"train_loss_nats": 2.25})
    assert second == "2,000 tokens/s, train 2.250 nats, validation 3.000 nats"
