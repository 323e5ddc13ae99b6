"""A corpus of a few stories, rows of sixteen characters, and stages that train in a moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import CharacterTokenizer, build_character
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.windows import open_rows
from lt_interp.stages import Stage, get_stage
from lt_interp.training.batches import Data
from lt_interp.training.convert import Conversion, convert
from lt_interp.training.loop import train

from .small_runs import quick

WIDTH = 16


def stories(seed: int, count: int) -> str:
    """Invented stories of short words, in the delimited text form."""
    words = ["the", "a", "dog", "cat", "bird", "ran", "sat", "saw", "big", "red", "sun", "was"]
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(words, size=14)) + "." for _ in range(count)]
    return "".join(f"{text}\n<|endoftext|>\n" for text in texts)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums come out in the same order in every test, and fixtures of any scope see it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "train.txt").write_text(stories(0, 14), encoding="utf-8")
    (folder / "validation.txt").write_text(stories(1, 4), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tokenizer(corpus_folder: Path) -> CharacterTokenizer:
    corpus = open_corpus(corpus_folder, split="train")
    return build_character(corpus.stories(), corpus_sha256=corpus.sha256)


@pytest.fixture(scope="session")
def data(
    corpus_folder: Path, tokenizer: CharacterTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Data:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        train, validation = (
            open_rows(open_corpus(corpus_folder, split=split), tokenizer, width=WIDTH)
            for split in ("train", "validation")
        )
    return Data(train=train, validation=validation, tokenizer=tokenizer)


@pytest.fixture(scope="session")
def small_stage(tokenizer: CharacterTokenizer) -> Callable[[str], Stage]:
    """A stage of the ladder at a size that trains in a moment."""

    def build(stage_id: str) -> Stage:
        stage = get_stage(stage_id)
        config = dataclasses.replace(
            stage.config,
            d_vocab=tokenizer.d_vocab,
            n_ctx=WIDTH,
            d_model=16,
            d_mlp=32 if stage.config.d_mlp else 0,
        )
        return dataclasses.replace(stage, config=config)

    return build


@pytest.fixture(scope="session")
def whole_run(
    data: Data, small_stage: Callable[[str], Stage], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An uninterrupted run of the gated mixture, which has every kind of part."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(small_stage("10_moe_gated"), data, quick("10_moe_gated"), seed=4, out=out)
    return out


@pytest.fixture
def converted(
    tokenizer: CharacterTokenizer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Conversion]:
    """Save what a test holds as `theirs.pt`, and convert it into `out`.

    No shipped tokenizer is looked at, which would take most of the time.
    """
    nothing = tmp_path_factory.getbasetemp() / "nothing"
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: nothing)

    def go(stage: str, saved: Any, **options: Any) -> Conversion:
        torch.save(saved, tmp_path / "theirs.pt")
        options = {"tokenizer": tokenizer, "out": tmp_path / "out", **options}
        return convert(tmp_path / "theirs.pt", stage, **options)

    return go
