"""Small models with random weights everywhere, to be exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import CharacterTokenizer
from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.norm import LayerNorm
from lt_interp.model.stage_model import StageModel

CHARACTERS = " abcdefghijklmnoprstuvwxyz."


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums come out in the same order in every test."""
    torch.set_num_threads(1)


@pytest.fixture
def build() -> Callable[..., StageModel]:
    """A model of the given parts with three layers of three heads, LayerNorms random too."""

    def make(*, seed: int = 0, **parts: Any) -> StageModel:
        tokenizer = CharacterTokenizer(CHARACTERS, counts=[1] * len(CHARACTERS), corpus_sha256="")
        sizes = {"d_vocab": tokenizer.d_vocab, "n_ctx": 24, "d_model": 12, "n_layers": 3}
        model = StageModel(ModelConfig(**sizes | parts), tokenizer=tokenizer, name="x", seed=seed)
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for part in model.modules():
                if isinstance(part, LayerNorm):
                    part.w.copy_(torch.randn(part.w.shape, generator=generator))
                    part.b.copy_(torch.randn(part.b.shape, generator=generator))
        return model

    return make


@pytest.fixture
def tokens() -> torch.Tensor:
    """Rows as long as the context."""
    return torch.randint(len(CHARACTERS) + 3, (3, 24), generator=torch.Generator().manual_seed(7))
