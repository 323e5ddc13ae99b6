"""Attribution patching: all pairs in few passes, against one pair after another.

Twice, since a user has two ways: TransformerLens's `attribution_patch`, which scores the
embedding, every head and every feed-forward layer at every position, and its gradient cache read
for the heads alone. Ours answers the same question each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.tools.analysis.attribution_patching import (
    attribution_patch,
    cache_activation_and_gradient,
)

import lt_interp as lt
from benchmarks.harness import Comparison
from benchmarks.patching import STAGE, TOKENS, random_pairs
from lt_interp.methods.activation_patching.attribution import attribute
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.timing import in_turn
from lt_interp.model.stage_model import StageModel

PAIRS = 200
NODES = {"embed": "embed", "attn_head_out": "z", "mlp_out": "mlp_out"}
"""What is scored, by TransformerLens's name."""
Scores = dict[str, Float[Tensor, "layer pos ... pair"]]


def ours(model: StageModel, pairs: PairGroup, *, parts: tuple[str, ...]) -> Scores:
    """All pairs at once."""
    return attribute(model, pairs.clean, pairs.corrupt, answers=pairs.answers, parts=parts)


def library(model: StageModel, pairs: PairGroup) -> Scores:
    """TransformerLens's `attribution_patch`, one pair after another; by itself it would average."""
    layers, heads, n_pos = model.config.depth, model.config.n_heads, pairs.last + 1
    found = {
        "embed": torch.zeros(1, n_pos, len(pairs)),
        "z": torch.zeros(layers, n_pos, heads, len(pairs)),
        "mlp_out": torch.zeros(layers, n_pos, len(pairs)),
    }
    for row in range(len(pairs)):
        pair = pairs.take([row])
        nodes = attribution_patch(model, pair.clean, pair.corrupt, _metric(pair)).node_scores
        for node, score in nodes.items():
            head = () if node.head is None else (node.head,)
            found[NODES[node.kind]][(node.layer or 0, node.position, *head, row)] = score
    return found


def heads_alone(model: StageModel, pairs: PairGroup) -> Scores:
    """Two runs and a gradient a pair, with TransformerLens's hooks, kept for the heads alone."""
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.config.depth)]
    found = []
    for row in range(len(pairs)):
        pair = pairs.take([row])
        clean = cache_activation_and_gradient(
            model, pair.clean, _metric(pair), names_filter=names, compute_gradient=False
        ).activations
        own = cache_activation_and_gradient(model, pair.corrupt, _metric(pair), names_filter=names)
        moved = [(clean[n] - own.activations[n]) * own.gradients[n] for n in names]
        found.append(torch.cat(moved).sum(dim=-1))
    return {"z": torch.stack(found, dim=-1)}


def _metric(pair: PairGroup) -> Callable[[Tensor], Tensor]:
    return lambda logits: logit_difference(logits[:, -1], pair.answers).sum()


def compare() -> list[Comparison]:
    """Seconds for all pairs."""
    model = lt.load(STAGE)
    pairs = random_pairs(PAIRS, TOKENS, d_vocab=model.config.d_vocab)
    rows = []
    for what, other, against in (
        (tuple(NODES.values()), library, "transformer_lens's attribution_patch, one by one"),
        (("z",), heads_alone, "its gradient cache for the heads alone, one by one"),
    ):
        mine, yours = partial(ours, model, pairs, parts=what), partial(other, model, pairs)
        one, two = mine(), yours()
        our_seconds, their_seconds = in_turn(mine, yours)
        rows.append(
            Comparison(
                what=f"attribution of all heads and positions, {PAIRS} pairs of {TOKENS} tokens",
                against=against,
                target=10,
                ours=our_seconds,
                theirs=their_seconds,
                notes={
                    "scored": what,
                    "largest_difference": max(
                        float((one[part] - two[part]).abs().max()) for part in what
                    ),
                    "threads": torch.get_num_threads(),
                },
            )
        )
    return rows
