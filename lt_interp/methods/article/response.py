"""Does a model answer the prompt? What the true beginning of a story is worth further on.

The article calls a stage "the first model that responded to the prompt" after reading one sample.
Measured: a stretch of a story is scored twice, once after its own beginning and once after the
beginning of another story, and the tokens right after the beginning are the same in both. A model
that does not use what the prompt says predicts the stretch equally well both times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from lt_interp.corpus.windows import Rows
from lt_interp.model.stage_model import StageModel
from lt_interp.training.loss import token_losses

PROMPT_TOKENS, BRIDGE_TOKENS = 32, 8
MAX_STORIES = 256
BATCH_STORIES = 64

RESPONSE = {"story": int, "own_nats": float, "other_nats": float, "n_tokens": int}


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginnings:
    """Stories, each once after its own beginning and once after another's.

    Attributes:
        story: Their numbers.
        own: The first tokens of each story: prompt, bridge and the stretch that is scored.
        other: The same with the prompt of another story.
        n_prompt: Tokens of a prompt, and of the stretch that is scored.
        n_bridge: Tokens between them, which are the story's own in both.
    """

    story: Int[np.ndarray, " n"]
    own: Int[np.ndarray, "n width"]
    other: Int[np.ndarray, "n width"]
    n_prompt: int
    n_bridge: int


def draw_beginnings(rows: Rows, *, seed: int) -> Beginnings:
    """Take stories that are long enough and exchange their beginnings in a circle.

    Args:
        rows: The stories; where they are narrower than 72 tokens, everything is shortened to fit.
        seed: Of the draw and of the exchange.
    """
    n_prompt = min(PROMPT_TOKENS, 4 * rows.width // 9)
    n_bridge = n_prompt * BRIDGE_TOKENS // PROMPT_TOKENS
    width = 2 * n_prompt + n_bridge
    lengths = np.diff(np.append(rows.story_starts, rows.tokens.size))
    long_enough = np.flatnonzero(lengths >= width)
    order = np.random.default_rng(seed).permutation(long_enough)[: MAX_STORIES if n_prompt else 0]
    starts = rows.story_starts[order]
    flat = rows.tokens.reshape(-1)
    own = flat[starts[:, None] + np.arange(width)].astype(np.int64)
    other = own.copy()
    other[:, :n_prompt] = np.roll(own[:, :n_prompt], 1, axis=0)
    return Beginnings(story=order, own=own, other=other, n_prompt=n_prompt, n_bridge=n_bridge)


@torch.no_grad()
def response(model: StageModel, beginnings: Beginnings) -> list[dict[str, Any]]:
    """Rows of the table `response`: losses of the scored stretch, summed within each story."""
    if len(beginnings.story) < 2:  # no other story to take a prompt from
        return []
    own, other = (
        _losses(model, tokens, beginnings) for tokens in (beginnings.own, beginnings.other)
    )
    return [
        {"story": int(story), "own_nats": float(a), "other_nats": float(b),
         "n_tokens": beginnings.n_prompt}
        for story, a, b in zip(beginnings.story, own, other, strict=True)
    ]  # fmt: skip


def _losses(
    model: StageModel, tokens: Int[np.ndarray, "n width"], beginnings: Beginnings
) -> Float[np.ndarray, " n"]:
    """Sum of the losses in nats of the last `n_prompt` tokens."""
    sums = []
    for start in range(0, len(tokens), BATCH_STORIES):
        batch = torch.from_numpy(tokens[start : start + BATCH_STORIES]).to(model.W_U.device)
        hidden = model.hidden(batch[:, :-1])[:, -beginnings.n_prompt :]
        targets = batch[:, -beginnings.n_prompt :]
        losses = token_losses(hidden.flatten(0, 1), model.W_U, model.b_U, targets.flatten())
        sums.append(losses.reshape(targets.shape).double().sum(dim=1).cpu().numpy())
    return np.concatenate(sums)
