"""Activation patching: every grid of one pair, against a run of the model for every cell.

TransformerLens runs the whole model once for each place that is patched. The pair is two rows of
random ids that differ in one; what a run costs does not depend on what the tokens are, only on
where they begin to differ, which is early here.
"""

from __future__ import annotations

from unittest import mock

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import patching

import lt_interp as lt
from benchmarks.harness import Comparison
from lt_interp.methods.activation_patching.cells import STREAM
from lt_interp.methods.activation_patching.grids import Grid, patch_grids
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.timing import in_turn
from lt_interp.model.stage_model import StageModel

STAGE, TOKENS, SWAPPED = "09_multi_head", 40, 4
_HEADS = {"z": "out", "q": "q", "k": "k", "v": "v", "pattern": "pattern"}
SWEEPS = {
    **{(name, False): getattr(patching, f"get_act_patch_{name}") for name in STREAM},
    **{
        (name, each): getattr(patching, f"get_act_patch_attn_head_{word}_{where}_pos")
        for name, word in _HEADS.items()
        for each, where in ((False, "all"), (True, "by"))
    },
}
"""TransformerLens's sweeps by what `patch_grids` calls them."""


def random_pairs(n_pairs: int, n_tokens: int, *, d_vocab: int, seed: int = 0) -> PairGroup:
    """Pairs of random ids that differ at one position, with random answers."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(3, d_vocab, (n_pairs, n_tokens), generator=generator)
    corrupt = clean.clone()
    corrupt[:, min(SWAPPED, n_tokens - 2)] = torch.randint(
        3, d_vocab, (n_pairs,), generator=generator
    )
    answers = torch.stack([torch.randperm(d_vocab, generator=generator)[:2] for _ in clean])
    return PairGroup(
        template="random", kind="names", place=tuple(range(n_pairs)), clean=clean,
        corrupt=corrupt, answers=answers,
    )  # fmt: skip


def ours(model: StageModel, pair: PairGroup) -> dict[Grid, Float[Tensor, "layer ... pair"]]:
    """Every grid in one call."""
    return patch_grids(model, pair.clean, pair.corrupt, answers=pair.answers)


@torch.no_grad()
def theirs(model: StageModel, pair: PairGroup) -> dict[Grid, Float[Tensor, "layer ... pair"]]:
    """The same cells, a sweep after another, without the time that its progress bars take."""
    _, cache = model.run_with_cache(pair.clean)

    def metric(logits: Float[Tensor, "pair pos d_vocab"]) -> Float[Tensor, " pair"]:
        return logit_difference(logits[:, -1], pair.answers)

    with mock.patch.object(patching, "tqdm", lambda cells: cells):
        found = {
            grid: sweep(model, pair.corrupt, cache, metric, reduce="none").values
            for grid, sweep in SWEEPS.items()
        }
    by_query = found["pattern", True]  # has the head before the position
    return {**found, ("pattern", True): by_query.transpose(1, 2)}


def largest_difference(one: dict[Grid, Tensor], other: dict[Grid, Tensor]) -> float:
    """Between any two results of one cell."""
    assert one.keys() == other.keys()
    return max(float((one[grid] - other[grid]).abs().max()) for grid in one)


def compare() -> list[Comparison]:
    """Seconds for all grids of a pair."""
    model = lt.load(STAGE)
    pair = random_pairs(1, TOKENS, d_vocab=model.config.d_vocab)
    difference = largest_difference(ours(model, pair), theirs(model, pair))
    our_seconds, their_seconds = in_turn(lambda: ours(model, pair), lambda: theirs(model, pair))
    return [
        Comparison(
            what=f"activation patching, all sweeps of one pair at {TOKENS} tokens, {STAGE}",
            against="transformer_lens.patching, the same cells",
            target=10,
            ours=our_seconds,
            theirs=their_seconds,
            notes={
                "sweeps": [f"{name}{' by position' if each else ''}" for name, each in SWEEPS],
                "cells": sum(grid.numel() for grid in ours(model, pair).values()),
                "swapped_position": SWAPPED,
                "largest_difference_of_a_logit_difference": difference,
                "threads": torch.get_num_threads(),
            },
        )
    ]
