"""Small random models of every stage, and a tokenizer for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import jaxtyping
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import CharacterTokenizer
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage

CHARACTERS = " abcdefghijklmnoprstuvwxyz."


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums come out in the same order in every test, and fixtures of any scope see it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> CharacterTokenizer:
    return CharacterTokenizer(CHARACTERS, counts=[1] * len(CHARACTERS), corpus_sha256="")


@pytest.fixture(scope="session")
def small_config(tokenizer: CharacterTokenizer) -> Callable[..., ModelConfig]:
    """A stage's config at a size that runs in a millisecond."""

    def build(stage_id: str) -> ModelConfig:
        config = get_stage(stage_id).config
        small = {"d_vocab": tokenizer.d_vocab, "n_ctx": 24, "d_model": 16}
        return dataclasses.replace(config, d_mlp=32 if config.d_mlp else 0, **small)

    return build


@pytest.fixture
def small_model(
    tokenizer: CharacterTokenizer, small_config: Callable[..., ModelConfig]
) -> Callable[..., StageModel]:
    """A stage with random weights, those of LayerNorms included, and the tokenizer."""

    def build(stage_id: str, seed: int = 0) -> StageModel:
        model = StageModel(small_config(stage_id), tokenizer=tokenizer, name=stage_id, seed=seed)
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for name, param in model.named_parameters():
                if ".ln" in name or name.startswith("ln"):
                    param.add_(torch.randn(param.shape, generator=generator), alpha=0.3)
        return model

    return build


@pytest.fixture(scope="session")
def tokens(tokenizer: CharacterTokenizer) -> torch.Tensor:
    """Three rows of ten random ids."""
    generator = torch.Generator().manual_seed(7)
    return torch.randint(tokenizer.d_vocab, (3, 10), generator=generator)


@pytest.fixture
def without_type_checks() -> Iterator[None]:
    """Let a value of the wrong type reach the library's own checks, as it does for users."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
