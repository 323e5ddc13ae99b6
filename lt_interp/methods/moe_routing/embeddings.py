"""What a router would read if there were no context: the token's and the position's embedding."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from lt_interp.methods.moe_routing.decisions import Decisions
from lt_interp.model.stage_model import StageModel

CHUNK = 16_384


@torch.no_grad()
def embedding_inputs(
    model: StageModel, decisions: Decisions, *, own_position: bool
) -> Float[np.ndarray, "layer n d_model"]:
    """The embeddings of every decision, through each layer's own norm and nothing else.

    Args:
        model: The stage.
        decisions: Whose tokens and positions.
        own_position: Add the embedding of each position, or else the mean over all positions that
            are read, the same for every token; a stage without positions adds neither.
    """
    token = torch.from_numpy(decisions.token)
    position = torch.from_numpy(decisions.position)
    found = np.empty_like(decisions.inputs)
    for start in range(0, len(token), CHUNK):
        part = slice(start, start + CHUNK)
        x = model.W_E[token[part]]
        if model.config.embeds_positions:
            W_pos = model.W_pos
            read = W_pos[: int(decisions.position.max()) + 1]
            x = x + (W_pos[position[part]] if own_position else read.mean(dim=0))
        for layer, block in enumerate(model.blocks):
            found[layer, part] = block.ln2(x).cpu().numpy()
    return found
