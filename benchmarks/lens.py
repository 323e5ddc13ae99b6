"""Logit lens: sums over a corpus, in pieces, against all logits of all points at once.

The other way runs with a cache, unembeds every point of every position together and takes the same
five statistics from the whole array. It is given as many rows as fit into memory several times
over and its time is scaled to the positions of ours; ours runs on all of them. The peak memory is
that of a process of its own, Python and torch included.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from benchmarks.harness import Comparison
from lt_interp import load
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.logit_lens.points import final_norm, lens_points
from lt_interp.methods.logit_lens.readings import Readings, read_stories, row_batches
from lt_interp.methods.timing import REPEATS, in_turn
from lt_interp.model.stage_model import StageModel

STAGE, POSITIONS, TARGET, PEAK_MIB = "09_multi_head", 100_000, 2.0, 1536
COPIES = 5  # arrays of all logits that the naive way has alive at once
MOST_ROWS = 48  # more make no position cheaper


@dataclass(frozen=True, kw_only=True)
class Naive:
    """The same statistics, token by token."""

    loss_nats: Float[Tensor, "point n"]
    rank: Int[Tensor, "point n"]
    kl_to_final_nats: Float[Tensor, "point n"]


@torch.no_grad()
def naive(model: StageModel, tokens: Int[Tensor, "row width"]) -> Naive:
    """All logits at once, as a notebook writes it."""
    _, cache = model.run_with_cache(tokens[:, :-1])
    points = torch.stack([
        torch.stack([cache[hook] for hook in point.hooks]).sum(dim=0)
        for point in lens_points(model.config)
    ])  # fmt: skip
    logits = (final_norm(model, points) @ model.W_U + model.b_U).flatten(1, 2)
    targets = tokens[:, 1:].flatten().expand(len(logits), -1)[..., None]
    log_p = logits.log_softmax(dim=-1)
    return Naive(
        loss_nats=-log_p.gather(2, targets)[..., 0],
        rank=(logits >= logits.gather(2, targets)).sum(dim=-1),
        kl_to_final_nats=(log_p[-1].exp() * (log_p[-1] - log_p)).sum(dim=-1),
    )


def ours(model: StageModel, rows: Rows, n_rows: int) -> Readings:
    """The analysis's own sums over the first rows."""
    return read_stories(model, row_batches(rows, np.arange(n_rows)), n_stories=rows.n_stories)


def naive_rows(model: StageModel, width: int) -> int:
    """How many rows' logits fit into the free memory several times over."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    a_row = COPIES * len(lens_points(model.config)) * (width - 1) * model.config.d_vocab * 4
    return int(max(1, min(MOST_ROWS, free // 2 // a_row)))


def compare(*, positions: int = POSITIONS, repeats: int = REPEATS) -> list[Comparison]:
    """Seconds of both for so many positions, and the peak memory of ours."""
    model, rows = load(STAGE), _rows()
    n_rows = -(-positions // (rows.width - 1))
    few = min(n_rows, naive_rows(model, rows.width))
    tokens = torch.from_numpy(rows.tokens[:few].astype(np.int64))
    peak = peak_mib(n_rows)
    mine, theirs = in_turn(
        lambda: ours(model, rows, n_rows), lambda: naive(model, tokens), repeats=repeats
    )
    return [Comparison(
        what=f"logit lens over {positions:,} positions at all {len(lens_points(model.config))} "
        "points", against="all logits at once", target=TARGET, ours=mine,
        theirs=[seconds * n_rows / few for seconds in theirs],
        notes={
            "stage": STAGE, "naive_positions": few * (rows.width - 1),
            "naive_seconds_measured": [round(seconds, 5) for seconds in theirs],
            "peak_mib": round(peak), "peak_mib_to_stay_below": PEAK_MIB,
            "peak_reached": peak < PEAK_MIB,
        },
    )]  # fmt: skip


def peak_mib(n_rows: int) -> float:
    """The peak memory of ours in a process of its own."""
    command = (
        "from benchmarks import harness, lens; "
        f"lens.ours(lens.load(lens.STAGE), lens._rows(), {n_rows}); "
        "print(harness.peak_mib())"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _rows() -> Rows:
    return open_rows(open_corpus("embedded"), default_tokenizer())
