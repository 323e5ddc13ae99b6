"""What the lens says of a corpus, summed within each story as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.corpus.windows import Rows
from lt_interp.methods.logit_lens.points import lens_points, read_points
from lt_interp.methods.logit_lens.readout import read
from lt_interp.methods.statistics import story_totals
from lt_interp.model.stage_model import StageModel

BATCH_ROWS = 8
Batch = tuple[Int[Tensor, "b pos"], Int[Tensor, "b pos"], Int[np.ndarray, "b pos"]]
"""What the model reads, what comes next, and the story of what comes next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Readings:
    """Sums over the tokens of each story, a point a column.

    Attributes:
        loss_nats: Minus the log probability of the true next token.
        top1: How often it is the likeliest alone.
        probability: Of the true next token.
        log_rank: Log of its rank.
        kl_to_final_nats: What is lost by taking the point's prediction for the last one's.
        n_tokens: Of each story.
    """

    loss_nats: Float[np.ndarray, "story point"]
    top1: Float[np.ndarray, "story point"]
    probability: Float[np.ndarray, "story point"]
    log_rank: Float[np.ndarray, "story point"]
    kl_to_final_nats: Float[np.ndarray, "story point"]
    n_tokens: Int[np.ndarray, " story"]


def read_stories(
    model: StageModel,
    batches: Iterable[Batch],
    *,
    n_stories: int,
    report: Callable[[int], None] = lambda n: None,
) -> Readings:
    """Read every token at every point; nothing but the sums is kept.

    Args:
        model: Any stage that the lens can read.
        batches: Its tokens.
        n_stories: Story numbers run from 0 to one less.
        report: Called with how many tokens more are done.
    """
    sums = np.zeros((n_stories, 5, len(lens_points(model.config))))
    n_tokens = np.zeros(n_stories, np.int64)
    for tokens, targets, story in batches:
        vectors = read_points(model, tokens.to(model.W_U.device)).flatten(1, 2)
        readout = read(vectors, model.W_U, model.b_U, targets.flatten().to(model.W_U.device))
        loss, rank, kl = (
            one.double().cpu().numpy()
            for one in (readout.loss_nats, readout.rank, readout.kl_to_final_nats)
        )
        values = np.stack([loss, rank == 1, np.exp(-loss), np.log(rank), kl])
        present, place = np.unique(story, return_inverse=True)
        totals = story_totals(values.reshape(-1, values.shape[-1]).T, place.ravel())
        sums[present] += totals.reshape(len(present), *values.shape[:2])
        n_tokens[present] += np.bincount(place.ravel())
        report(targets.numel())
    return Readings(
        loss_nats=sums[:, 0], top1=sums[:, 1], probability=sums[:, 2], log_rank=sums[:, 3],
        kl_to_final_nats=sums[:, 4], n_tokens=n_tokens,
    )  # fmt: skip


def row_batches(rows: Rows, index: Int[np.ndarray, " n"]) -> Iterator[Batch]:
    """Rows of a corpus, read from its file a few at a time.

    Args:
        rows: All rows.
        index: Which, in any order.
    """
    for start in range(0, len(index), BATCH_ROWS):
        some = index[start : start + BATCH_ROWS]
        tokens = torch.from_numpy(rows.tokens[some].astype(np.int64))
        yield tokens[:, :-1], tokens[:, 1:], rows.story_ids(some)[:, 1:].astype(np.int64)
