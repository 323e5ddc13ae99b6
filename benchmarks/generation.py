"""Generation of 200 tokens: with keys and values kept, against reading the context each time.

Both are `generate` of the same model and sample the same tokens; prompts are the beginnings of
stories. Recomputing unembeds the last position alone, as keeping does.
"""

from __future__ import annotations

from functools import partial

import torch

import lt_interp as lt
from benchmarks.harness import Comparison
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.methods.timing import in_turn

STAGE, NEW_TOKENS, PROMPT_TOKENS = "09_multi_head", 200, 16


def compare() -> list[Comparison]:
    """Seconds of a call, in turn, for one text and for many."""
    return [_compare(batch) for batch in (1, 32)]


def _compare(batch: int) -> Comparison:
    model = lt.load(STAGE)
    rows = open_rows(open_corpus("embedded"), model.tokenizer)
    prompts = torch.from_numpy(rows.tokens[:batch, :PROMPT_TOKENS].astype("int64"))
    generate = partial(model.generate, prompts, NEW_TOKENS, stop_at_eos=False)
    ours, theirs = in_turn(generate, partial(generate, use_past_kv_cache=False))
    return Comparison(
        what=f"generation of {NEW_TOKENS} tokens, batch {batch}, stage {STAGE}",
        against="the same, recomputing the context for each token",
        target=5,
        ours=ours,
        theirs=theirs,
    )
