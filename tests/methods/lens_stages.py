"""Small stages for the tests of the lens, and tokens for them to read."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

D_VOCAB = 30


def random_model(stage: str) -> StageModel:
    """A small stage whose LayerNorms are not the identity."""
    config = STAGES[stage].config
    small = {"d_model": 16, "d_vocab": D_VOCAB, "n_ctx": 12, "d_mlp": 24 if config.d_mlp else 0}
    model = StageModel(dataclasses.replace(config, **small), name=stage)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, param in model.named_parameters():
            if "ln" in name:
                param.add_(0.3 * torch.randn(param.shape, generator=generator))
    return model


def tokens_of(n_rows: int = 3, n_pos: int = 12) -> Tensor:
    """Token ids, always the same."""
    return torch.randint(0, D_VOCAB, (n_rows, n_pos), generator=torch.Generator().manual_seed(0))
