"""The profile of a report is read off what the command and its library say."""

from __future__ import annotations

import dataclasses
import logging
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.report import Line, profile, timed
from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.windows import open_rows
from lt_interp.methods.analyze import analyze_into
from lt_interp.model.stage_model import StageModel
from lt_interp.report.build import build_pages
from lt_interp.stages import STAGES


def test_parts_analyses_pages_and_models_are_told_apart() -> None:
    texts = [
        (2.0, "The evolution (1 of 3)"), (4.0, "evolution of 10_moe: 1.50 s"),
        (5.0, "evolution of 03_bigram: 0.25 s"), (6.0, "Attention (2 of 3)"),
        (9.0, "attention of 10_moe: 4.00 s"), (10.0, "writing pages (3 of 3)"),
        (11.0, "page of evolution: 0.75 s"), (11.5, "page of evolution: 0.25 s"),
    ]  # fmt: skip
    assert profile([Line(*text) for text in texts], 12.5) == {
        "seconds_before_the_first_part": 2.0,
        "seconds_by_part": {"The evolution": 4.0, "Attention": 4.0, "writing pages": 2.5},
        "cpu_seconds_by_analysis": {"evolution": 1.75, "attention": 4.0},
        "cpu_seconds_by_page": {"evolution": 1.0},
        "cpu_seconds_of_the_costliest": {
            "attention of 10_moe": 4.0, "evolution of 10_moe": 1.5, "evolution of 03_bigram": 0.25,
        },
    }  # fmt: skip


def test_the_library_says_what_the_profile_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LT_INTERP_CACHE", str(tmp_path / "cache"))
    stories = ["Tom saw a dog. Ann saw a cat."] * 20
    hashed = sha256("".join(f"{s}\n<|endoftext|>\n" for s in stories).encode()).hexdigest()
    corpus = Corpus(
        name="planted", split="all", sha256=hashed, n_stories=20, read=lambda: iter(stories)
    )
    config = dataclasses.replace(
        STAGES["03_bigram"].config, d_model=8, d_vocab=256, n_ctx=32, eos_id=0
    )
    model = StageModel(config, tokenizer=ByteTokenizer(), name="03_bigram")
    rows = open_rows(corpus, ByteTokenizer(), width=33)
    with caplog.at_level(logging.INFO, logger="lt_interp"):
        analyze_into(tmp_path, "evolution", model, rows, seed=0, progress=None, command="c")
        build_pages(tmp_path)
    found = profile([Line(0.0, record.getMessage()) for record in caplog.records], 1.0)
    assert list(found["cpu_seconds_of_the_costliest"]) == ["evolution of 03_bigram"]
    assert list(found["cpu_seconds_by_page"]) == ["evolution"]


def test_a_run_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="there is no analysis 'nonsense'"):
        timed(tmp_path, ["report", "--only", "nonsense"])
