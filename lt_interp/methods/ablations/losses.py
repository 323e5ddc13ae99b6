"""What the claims are judged by: losses of the runs, compared seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lt_interp.methods.ablations.curves import Logs, mean_loss
from lt_interp.methods.ablations.runs import ArmRun
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.statistics import seeds_interval

Ends = tuple[float, float, float]
"""Mean over seeds, and both ends of its 95% interval."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Losses:
    """The logs of all runs.

    Attributes:
        logs: The lines of every run.
        unigram_nats: Entropy of a character of the text: what is left to a model that knows only
            how frequent characters are.
    """

    logs: Logs
    unigram_nats: float

    @property
    def steps(self) -> int:
        """Steps of every run."""
        return min(len(lines) for lines in self.logs.values())

    @property
    def last_tenth(self) -> tuple[int, int]:
        """Where a training loss is read off as the final one."""
        return self.steps - max(1, self.steps // 10) + 1, self.steps

    def runs(self, arm: str) -> list[ArmRun]:
        """The runs of an arm, by seed.

        Raises:
            NotMeasured: There are fewer than two.
        """
        found = sorted((run for run in self.logs if run.arm.name == arm), key=lambda r: r.seed)
        if len(found) < 2:
            raise NotMeasured(f"fewer than two seeds of {arm} were trained")
        return found

    def training(self, arm: str, first: int, last: int) -> list[float]:
        """Mean training loss of each run over steps.

        Raises:
            NotMeasured: The runs are shorter, or too few.
        """
        if not 1 <= first <= last <= self.steps:
            raise NotMeasured(f"the runs end at step {self.steps}, before step {last}")
        return [mean_loss(self.logs[run], first, last) for run in self.runs(arm)]

    def final(self, arm: str) -> list[float]:
        """Training loss of each run over its last tenth."""
        return self.training(arm, *self.last_tenth)

    def validation(self, arm: str) -> list[float]:
        """Validation loss at the end of each run."""
        return [self.logs[run][-1]["val_loss_nats"] for run in self.runs(arm)]

    def gradient_ratio(self, arm: str) -> list[float]:
        """Gradient norm of the first block over that of the last, median of the first 100 steps."""
        ratios = []
        for run in self.runs(arm):
            norms = [list(line["grad_norm_by_block"].values()) for line in self.logs[run][:100]]
            ratios.append(float(np.median([norm[0] / norm[-1] for norm in norms])))
        return ratios


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Ends:
    """Mean difference of runs that share their seeds, and its interval.

    Raises:
        NotMeasured: They are not as many.
    """
    if len(ours) != len(theirs):
        raise NotMeasured("not every seed was trained both ways")
    return ends([a - b for a, b in zip(ours, theirs, strict=True)])


def ends(values: Sequence[float]) -> Ends:
    """Mean and interval.

    Raises:
        NotMeasured: There is a single value.
    """
    mean, low, high = seeds_interval(values)
    if low is None or high is None:
        raise NotMeasured("a single seed has no interval")
    return mean, low, high
