"""Routing: every statistic of 250,000 decisions against bare forward passes of the same tokens.

Ours is `streamed_routing`: the model run as far as its last router, and all that the analysis says
of decisions but for what compares them with chance (its docstring lists both). One bare pass runs
exactly as far and keeps nothing, the strictest comparison; the other is what a user calls, and
makes logits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Comparison
from lt_interp import load
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.moe_routing.decisions import BATCH_ROWS, rows_needed, special_ids
from lt_interp.methods.moe_routing.streamed import streamed_routing
from lt_interp.methods.statistics import all_draws
from lt_interp.methods.timing import REPEATS, in_turn
from lt_interp.model.stage_model import StageModel

STAGE, DECISIONS, TARGET = "10_moe", 250_000, 1.3


class _ReachedError(Exception):
    """The last router has decided."""


@torch.no_grad()
def to_the_last_router(model: StageModel, tokens: Tensor) -> None:
    """A bare pass, and nothing after the last layer's choice of expert."""

    def stop(act: Tensor, hook: Any) -> None:
        raise _ReachedError

    last = f"blocks.{model.config.depth - 1}.mlp.hook_expert_indices"
    for part in tokens.split(BATCH_ROWS):
        with suppress(_ReachedError), model.hooks([(last, stop)]):
            model.hidden(part)


@torch.no_grad()
def to_the_logits(model: StageModel, tokens: Tensor) -> None:
    """A bare pass as a user calls it."""
    for part in tokens.split(BATCH_ROWS):
        model(part)


def compare(*, decisions: int = DECISIONS, repeats: int = REPEATS) -> list[Comparison]:
    """Both bare passes, each in turn with ours."""
    model = load(STAGE)
    rows: Rows = open_rows(open_corpus("embedded"), default_tokenizer())
    n_rows = rows_needed(rows, special_ids(model), n_layers=model.config.depth,
                         decisions=decisions)  # fmt: skip
    tokens = torch.from_numpy(rows.tokens[:n_rows, :-1].astype(np.int64))

    def ours() -> object:
        all_draws.cache_clear()  # resampled stories are drawn anew, as in an analysis of its own
        return streamed_routing(model, rows, n_rows)

    passes: dict[str, Callable[[StageModel, Tensor], None]] = {
        "a bare pass to the last router": to_the_last_router,
        "a bare pass to the logits": to_the_logits,
    }
    found = []
    for against, run in passes.items():
        seconds, theirs = in_turn(ours, lambda run=run: run(model, tokens), repeats=repeats)
        found.append(Comparison(
            what=f"routing of {decisions:,} decisions, all statistics but the null draws",
            against=against, target=TARGET, ours=seconds, theirs=theirs, lower_is_better=True,
            notes={"stage": STAGE, "rows": n_rows, "positions": tokens.numel()},
        ))  # fmt: skip
    return found
