"""What a training run reads, and which rows of it at each step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import Rows


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run reads.

    Attributes:
        train: Rows to learn from.
        validation: Rows to validate on, all of them.
        tokenizer: What made both.
    """

    train: Rows
    validation: Rows
    tokenizer: Tokenizer


def batch_rows(step: int, n_rows: int, batch: int, seed: int) -> np.ndarray:
    """Row numbers of a step: every epoch a new permutation that depends on the seed alone."""
    steps_per_epoch = n_rows // batch
    epoch, within = divmod(step, steps_per_epoch)
    return _epoch_order(n_rows, seed, epoch)[within * batch : (within + 1) * batch]


@lru_cache(maxsize=1)  # drawn once an epoch: over millions of rows it takes longer than a step
def _epoch_order(n_rows: int, seed: int, epoch: int) -> np.ndarray:
    order = np.random.default_rng([seed, epoch]).permutation(n_rows)
    order.flags.writeable = False  # every step of the epoch reads this one array
    return order
