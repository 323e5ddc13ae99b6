"""Tiny stages over bytes, and checkpoints of them that were really trained for a few steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.methods.parameters import model_shapes
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.batches import Data
from lt_interp.training.loop import train
from lt_interp.training.recipe import recipe_for
from lt_interp.training.run_folder import Shapes

WIDTH = 33
STORIES = [
    f"{name} saw a {thing}. {name} said, hello {thing}! The {thing} ran to {name}."
    for name in ("Tom", "Ann", "Sue", "Bob", "Kim")
    for thing in ("dog", "cat", "big red ball", "girl", "old man in the sun")
]


def tiny(stage: str) -> ModelConfig:
    """A stage's own parts, made small."""
    config = STAGES[stage].config
    small = {"d_model": 16, "d_vocab": 256, "n_ctx": WIDTH - 1, "eos_id": 0}
    return dataclasses.replace(config, **small, d_mlp=24 if config.d_mlp else 0)


def built_shapes(config: ModelConfig) -> Shapes:
    """Shapes of the weights of a model that is built without memory for them."""
    with torch.device("meta"):
        return model_shapes(StageModel(config))


def corpus_of(stories: list[str], split: str = "all") -> Corpus:
    return Corpus(
        name="planted",
        split=split,
        sha256=sha256("".join(f"{s}\n<|endoftext|>\n" for s in stories).encode()).hexdigest(),
        n_stories=len(stories),
        read=lambda: iter(stories),
    )


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def tokenizer() -> ByteTokenizer:
    return ByteTokenizer()


@pytest.fixture(scope="session")
def rows(tokenizer: ByteTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        return open_rows(corpus_of(STORIES), tokenizer, width=WIDTH)


@pytest.fixture
def rows_of(tokenizer: ByteTokenizer) -> Callable[..., Rows]:
    """Rows of given stories."""
    return lambda stories, width=WIDTH: open_rows(corpus_of(stories), tokenizer, width=width)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, rows: Rows, tokenizer: ByteTokenizer) -> Path:
    """A folder of tiny checkpoints: five stages, and a second seed of one."""
    folder = tmp_path_factory.mktemp("trained")
    data = Data(train=rows, validation=rows, tokenizer=tokenizer)
    few = {"max_steps": 6, "batch_rows": 4, "log_every": 2, "validate_every": 2}
    for stage in ("01_bag_of_words", "03_bigram", "04_attention", "05_attn_position", "10_moe"):
        small = dataclasses.replace(STAGES[stage], config=tiny(stage))
        recipe = recipe_for("ladder", stage, epochs=9.0, **few)
        train(small, data, recipe, seed=0, out=folder / stage)
        if stage == "10_moe":
            train(small, data, recipe, seed=1, out=folder / "10_moe-seed1")
    return folder


@pytest.fixture
def shipped(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as if they had been shipped."""
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: trained)
    return trained
