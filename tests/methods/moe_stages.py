"""Small mixtures for the tests of routing: one as initialised, one that routes as planted."""

from __future__ import annotations

import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.model.stage_model import StageModel

from .conftest import tiny


def by_parity(model: StageModel) -> StageModel:
    """Route every layer by the parity of the token id, whatever else a stage does.

    The embeddings say the parity, nothing else is added to the stream, and routers read just that.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "W_O" in name or "W_out" in name or "b_out" in name or "W_pos" in name:
                weight.zero_()
            if name.endswith("router.weight"):
                weight.zero_()
                weight[0, 0], weight[1, 0] = -1.0, 1.0
        model.W_E.normal_(generator=torch.Generator().manual_seed(0))
        model.W_E[:, 0] = 6.0 * (2 * (torch.arange(model.config.d_vocab) % 2) - 1)
    return model


def stage(name: str, tokenizer: ByteTokenizer, seed: int = 0) -> StageModel:
    return StageModel(tiny(name), tokenizer=tokenizer, name=name, seed=seed)
