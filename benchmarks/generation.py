"""Generation of 200 tokens: with keys and values kept, against reading the context each time.

All sample with the same seed from the same model; prompts are the beginnings of stories. `generate`
told to recompute unembeds the last position alone, as keeping does; what users write who only have
a model's `forward` gets the logits of every position.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import lt_interp as lt
from benchmarks.harness import Comparison
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.methods.timing import REPEATS, in_turn
from lt_interp.model.generation import sample
from lt_interp.model.stage_model import StageModel

STAGE, NEW_TOKENS, PROMPT_TOKENS = "09_multi_head", 200, 16
TEMPERATURE = 0.8


def compare() -> list[Comparison]:
    """Seconds of a call, in turn, for one text and for many, against both ways to recompute."""
    model = lt.load(STAGE)
    rows = open_rows(open_corpus("embedded"), model.tokenizer)
    prompts = torch.from_numpy(rows.tokens[:32, :PROMPT_TOKENS].astype("int64"))
    ways = {
        "the same, recomputing the context for each token": _recompute,
        "forward passes over the whole context, all logits of each": _forward_passes,
    }
    return [
        _compare(against, way, model, prompts[:batch])
        for batch in (1, len(prompts))
        for against, way in ways.items()
    ]


def _compare(
    against: str, way: Callable[[StageModel, Tensor], Tensor], model: StageModel, prompts: Tensor
) -> Comparison:
    ours, theirs = in_turn(
        lambda: _generate(model, prompts), lambda: way(model, prompts),
        repeats=REPEATS if len(prompts) > 1 else 3 * REPEATS,  # a tenth of a second each
    )  # fmt: skip
    return Comparison(
        what=f"generation of {NEW_TOKENS} tokens, batch {len(prompts)}, stage {STAGE}",
        against=against,
        target=5,
        ours=ours,
        theirs=theirs,
    )


def _generate(model: StageModel, prompts: Tensor, **options: bool) -> Tensor:
    return model.generate(
        prompts, NEW_TOKENS, temperature=TEMPERATURE, stop_at_eos=False, **options
    )


def _recompute(model: StageModel, prompts: Tensor) -> Tensor:
    """The option of `generate`."""
    return _generate(model, prompts, use_past_kv_cache=False)


@torch.no_grad()
def _forward_passes(model: StageModel, tokens: Tensor) -> Tensor:
    """A loop around the model as anybody writes it."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(NEW_TOKENS):
        next_ = sample(model(tokens)[:, -1], TEMPERATURE, None, None, generator)
        tokens = torch.cat([tokens, next_[:, None]], dim=1)
    return tokens
