"""Seconds of a training step as the context or the vocabulary grows, tokens a step the same.

Expected of a step of `TOKENS` tokens: attention's products grow with the context, everything else
does not, so time is `a + b n_ctx`; the unembedding and its loss grow with the vocabulary, the body
does not: `a + b d_vocab`. On a log-log scale both start flat and tend to a slope of 1.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import torch

from lt_interp.methods.timing import REPEATS, seconds
from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.loss import linear_cross_entropy

STAGE, TOKENS = "09_multi_head", 2048
SIZES: dict[str, tuple[int, ...]] = {
    "n_ctx": (64, 128, 256, 512, 1024, 2048),
    "d_vocab": (512, 1024, 2048, 4096, 8192, 16384),
}


def measure(*, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """Rows of `what`, `grows`, `size` and `seconds` (the median step)."""
    return [
        {
            "what": f"a training step of {TOKENS} tokens",
            "grows": grows,
            "size": size,
            "seconds": _step_seconds(repeats, **{grows: size}),
        }
        for grows, sizes in SIZES.items()
        for size in sizes
    ]


def _step_seconds(repeats: int, **change: int) -> float:
    config = dataclasses.replace(get_stage(STAGE).config, **change)
    model = StageModel(config)
    generator = torch.Generator().manual_seed(0)
    shape = (TOKENS // config.n_ctx, config.n_ctx)
    tokens, targets = (
        torch.randint(3, config.d_vocab, shape, generator=generator) for _ in range(2)
    )

    def step() -> None:
        with fused():
            hidden = model.hidden(tokens).flatten(0, 1)
        linear_cross_entropy(hidden, model.W_U, model.b_U, targets.flatten()).backward()
        model.zero_grad()

    step()
    return statistics.median(seconds(step) for _ in range(repeats))
