"""Whether anything behind the last tokens is read: the proof of a window, in double precision."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lt_interp.methods.position_blindness.compare import Predictions, largest_difference, predict
from lt_interp.methods.position_blindness.orders import Orders, permutations
from lt_interp.model.stage_model import StageModel

TIMES = 2  # orders a prefix: in double precision whatever is read shows in each of them


class Behind:
    """What shuffling behind the last `n` tokens does, measured when it is asked for.

    A trained head may look back so faintly that float32 loses it. In double precision rounding is
    2 ** 29 times smaller, and faint is told apart from nothing.
    """

    def __init__(self, model: StageModel, orders: Orders) -> None:
        self._model = model
        self._orders = orders
        self._found: dict[int, tuple[float, int]] = {}

    @property
    def longest(self) -> int:
        """The longest window behind which half of the prefixes still have two tokens."""
        return int(np.median(self._orders.prefixes.length)) - 2

    def moves_nothing(self, n: int) -> bool:
        """Whether no logit moves beyond rounding; false if no prefix has anything to shuffle."""
        largest, n_prefixes = self._shuffled(n)
        return n_prefixes > 0 and largest <= self._before.bound

    def row(self, n: int) -> dict[str, Any]:
        """The evidence for a window, as the columns of `verdicts` that end in `behind_window`."""
        largest, n_prefixes = self._shuffled(n)
        return {
            "max_abs_difference_behind_window": largest,
            "bound_behind_window": self._before.bound,
            "n_prefixes_behind_window": n_prefixes,
        }

    @cached_property
    def _exact(self) -> StageModel:
        """The same weights and hooks in double precision, sharing the tokenizer."""
        shared = {id(self._model.tokenizer): self._model.tokenizer}
        return copy.deepcopy(self._model, shared).to(torch.float64)

    @cached_property
    def _before(self) -> Predictions:
        return predict(self._exact, self._orders.prefixes)

    def _shuffled(self, n: int) -> tuple[float, int]:
        """The largest difference of a logit, and how many prefixes were shuffled."""
        if n not in self._found:
            orders = self._orders
            kept = permutations(orders.prefixes, keep=n, times=TIMES, seed=orders.seed)
            largest = largest_difference(self._exact, orders.prefixes, kept, self._before)
            self._found[n] = largest, len(np.unique(kept.prefix))
        return self._found[n]
