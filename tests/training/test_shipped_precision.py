"""What storing 16 bits of every weight can do to the logits of a shipped model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lt_interp as lt
from lt_interp.corpus import open_corpus

# Of the largest logit; docs/training.md states it.
BOUND = 0.002


@pytest.mark.parametrize("name", ["byte_gpt", "gpt_learned", "09_multi_head"])
def test_weights_that_round_to_the_stored_ones_give_their_logits(name: str) -> None:
    model = lt.load(name)
    story = next(iter(open_corpus("embedded").stories()))
    tokens = model.to_tokens(story)[:, : model.config.n_ctx - 1]
    with torch.no_grad():
        stored = model(tokens)
        generator = torch.Generator().manual_seed(0)
        for weight in model.parameters():
            half = weight.detach().to(torch.float16).numpy()
            # half the distance to the nearer neighbour in 16 bits: what was rounded away, at most
            size = np.abs(half)
            step = torch.from_numpy((size - np.nextafter(size, np.float16(0))).astype(np.float32))
            weight.add_(0.499 * step * (2 * torch.rand(weight.shape, generator=generator) - 1))
            assert torch.equal(weight.to(torch.float16), torch.from_numpy(half))
        moved = (model(tokens) - stored).abs().max()
    assert 0 < moved < BOUND * stored.abs().max()
