"""The lens averaged over the tokens of a corpus, with intervals by story."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import untrained
from lt_interp.methods.logit_lens.points import lens_points
from lt_interp.methods.logit_lens.readings import BATCH_ROWS, Batch, Readings, read_stories
from lt_interp.methods.significance import sign_flip_p
from lt_interp.methods.statistics import Interval, story_bootstrap, story_totals
from lt_interp.model.stage_model import StageModel

CHANGE = "change_from_previous_nats"
UNTRAINED_SHARE = 5  # the untrained stage reads one row in so many: its loss varies little

CORPUS = {
    "point": str,
    "layer": int,
    "order": int,
    "descriptive": bool,
    "loss_nats": float,
    "low": float,
    "high": float,
    "top1_accuracy": float,
    "top1_low": float,
    "top1_high": float,
    "probability": float,
    "probability_low": float,
    "probability_high": float,
    "geometric_mean_rank": float,
    "rank_low": float,
    "rank_high": float,
    "kl_to_final_nats": float,
    "kl_low": float,
    "kl_high": float,
    "untrained_loss_nats": float,
    "untrained_low": float,
    "untrained_high": float,
    "untrained_n_tokens": int,
    CHANGE: float,
    "change_low": float,
    "change_high": float,
    "p": float,
    "n_tokens": int,
    "n_stories": int,
}
# The columns of what is resampled, each with those of its lower and its upper end.
ENDS = {
    "loss_nats": ("low", "high"),
    "top1_accuracy": ("top1_low", "top1_high"),
    "probability": ("probability_low", "probability_high"),
    "geometric_mean_rank": ("rank_low", "rank_high"),
    "kl_to_final_nats": ("kl_low", "kl_high"),
    "untrained_loss_nats": ("untrained_low", "untrained_high"),
    CHANGE: ("change_low", "change_high"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Rows of a corpus, the story of every token that is predicted, and tokens to compare with.

    Attributes:
        tokens: The rows.
        story: Of tokens 1.. of each row, numbered from 0 without gaps.
        shuffled: Tokens 1.. of all rows, dealt out again at random: what the same tokens get when
            they are not the true ones.
    """

    tokens: Int[np.ndarray, "row width"]
    story: Int[np.ndarray, "row width_minus_1"]
    shuffled: Int[np.ndarray, "row width_minus_1"]

    @property
    def n_tokens(self) -> int:
        """Predicted tokens."""
        return self.story.size

    def first(self, n_rows: int) -> Sample:
        """Its first rows, at least one."""
        part = slice(max(1, n_rows))
        return Sample(
            tokens=self.tokens[part], story=self.story[part], shuffled=self.shuffled[part]
        )

    def by_story(self, values: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "story k"]:
        """Sums within each story."""
        return story_totals(values.T, self.story.ravel())

    def batches(self) -> Iterator[tuple[Int[Tensor, "b pos"], Int[Tensor, "b pos"], slice]]:
        """What the model reads, what comes next, and which rows they are."""
        for start in range(0, len(self.tokens), BATCH_ROWS):
            part = slice(start, start + BATCH_ROWS)
            rows = torch.from_numpy(self.tokens[part])
            yield rows[:, :-1], rows[:, 1:], part

    def story_batches(self) -> Iterator[Batch]:
        """What the model reads, what comes next, and its stories."""
        for tokens, targets, part in self.batches():
            yield tokens, targets, self.story[part]


def draw_sample(rows: Rows, *, tokens: int, seed: int) -> Sample:
    """Whole rows at random, enough for so many predicted tokens, or all rows there are."""
    rng = np.random.default_rng(seed)
    wanted = -(-tokens // (rows.width - 1))
    index = rng.choice(rows.n_rows, size=min(wanted, rows.n_rows), replace=False)
    drawn = rows.tokens[index].astype(np.int64)
    story = np.unique(rows.story_ids(index)[:, 1:], return_inverse=True)[1]
    targets = drawn[:, 1:]
    return Sample(
        tokens=drawn,
        story=story.reshape(targets.shape).astype(np.int64),
        shuffled=rng.permutation(targets.ravel()).reshape(targets.shape),
    )


def corpus_rows(
    model: StageModel, sample: Sample, *, seed: int, report: Callable[[int], None]
) -> list[dict[str, Any]]:
    """The rows of a model in the table `lens_corpus`.

    Args:
        model: Any stage that the lens can read.
        sample: What it reads.
        seed: Of the resampling, and of the untrained stage.
        report: Called with how many tokens more are done.
    """
    n_stories = int(sample.story.max()) + 1
    found = read_stories(model, sample.story_batches(), n_stories=n_stories, report=report)
    part = sample.first(len(sample.tokens) // UNTRAINED_SHARE)
    fresh = untrained(model, seed=seed)
    baseline = read_stories(fresh, part.story_batches(), n_stories=n_stories, report=report)
    return reading_rows(model, found, baseline, seed=seed)


def reading_rows(
    model: StageModel, readings: Readings, baseline: Readings, *, seed: int
) -> list[dict[str, Any]]:
    """The rows of `lens_corpus` from the sums by story.

    Args:
        model: What was read.
        readings: Its sums.
        baseline: Those of the untrained stage.
        seed: Of the resampling.
    """
    change = np.diff(readings.loss_nats, axis=1, prepend=readings.loss_nats[:, :1])

    def means(totals: Float[np.ndarray, "story point"], of: Readings = readings) -> Interval:
        return story_bootstrap(totals, of.n_tokens, seed=seed)

    found = {
        "loss_nats": means(readings.loss_nats),
        "top1_accuracy": means(readings.top1),
        "probability": means(readings.probability),
        "geometric_mean_rank": _exp(means(readings.log_rank)),
        "kl_to_final_nats": means(readings.kl_to_final_nats),
        "untrained_loss_nats": means(baseline.loss_nats, baseline),
        CHANGE: means(change),
    }
    p = sign_flip_p(change[readings.n_tokens > 0], seed=seed)
    table = []
    for order, point in enumerate(lens_points(model.config)):
        row = _estimates(found, order) | {
            "point": point.name, "layer": point.layer, "order": order,
            "descriptive": point.descriptive, "untrained_n_tokens": int(baseline.n_tokens.sum()),
            "p": float(p[order]), "n_tokens": int(readings.n_tokens.sum()),
            "n_stories": found["loss_nats"].n_stories,
        }  # fmt: skip
        if order == 0:  # nothing comes before the first point
            row |= dict.fromkeys((CHANGE, *ENDS[CHANGE], "p"))
        table.append(row)
    return table


def _estimates(found: Mapping[str, Interval], order: int) -> dict[str, Any]:
    """The estimates of one point with their ends, by the names of their columns."""
    return {
        column: value
        for name, interval in found.items()
        for column, value in zip((name, *ENDS[name]), interval.at(order), strict=True)
    }


def _exp(found: Interval) -> Interval:
    """A mean of logarithms and its ends as a geometric mean."""
    ends = {name: np.exp(getattr(found, name)) for name in ("estimate", "low", "high")}
    return dataclasses.replace(found, **ends)
