"""How well a stage predicts the stories of a corpus, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.result import Progress
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.model.finite import not_finite
from lt_interp.model.stage_model import StageModel
from lt_interp.training.validation import row_losses


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Losses in nats, kept by story because intervals resample stories.

    A scored token belongs to the story it stands in. The first token of a row has nothing before
    it in the row and is not scored.

    Attributes:
        story_loss_nats: Sum over the scored tokens of each story; 0 where none is scored.
        story_tokens: Scored tokens of each story.
        last_loss_nats: Loss of the last token of each row.
        last_story: The story that token stands in.
        seed: Of the resampling of stories.
    """

    story_loss_nats: Float[np.ndarray, " story"]
    story_tokens: Int[np.ndarray, " story"]
    last_loss_nats: Float[np.ndarray, " row"]
    last_story: Int[np.ndarray, " row"]
    seed: int

    @property
    def n_tokens(self) -> int:
        """Scored tokens."""
        return int(self.story_tokens.sum())

    @property
    def n_stories(self) -> int:
        """Stories with a scored token."""
        return int((self.story_tokens > 0).sum())

    @property
    def loss_nats(self) -> float:
        """Mean loss of a scored token."""
        return float(self.story_loss_nats.sum()) / self.n_tokens

    @property
    def perplexity(self) -> float:
        """`exp(loss_nats)`."""
        return _perplexity(self.loss_nats)

    @property
    def perplexity_interval(self) -> tuple[float, float] | None:
        """95% interval by resampling stories; `None` with fewer than 2."""
        return _perplexity_interval(self.story_loss_nats, self.story_tokens, self.seed)

    @property
    def perplexity_last_token(self) -> float:
        """Perplexity of the last token of each row alone, which sees the whole row before it."""
        return _perplexity(float(self.last_loss_nats.mean()))

    @property
    def perplexity_last_token_interval(self) -> tuple[float, float] | None:
        """95% interval by resampling stories; `None` with fewer than 2."""
        n_stories = len(self.story_tokens)
        totals = np.bincount(self.last_story, self.last_loss_nats, minlength=n_stories)
        counts = np.bincount(self.last_story, minlength=n_stories)
        return _perplexity_interval(totals, counts, self.seed)


def evaluate(
    model: StageModel, rows: Rows, *, seed: int, progress: Progress | None = None
) -> Evaluation:
    """Score every token of every row but the first of each.

    Rows are read and scored a batch at a time, so a corpus may be larger than memory.

    Args:
        model: Any stage.
        rows: Token rows that the model's tokenizer made, at most one token wider than its context.
        seed: Of the resampling behind the intervals.
        progress: Called with rows done, rows in all and the model's name.

    Raises:
        InputError: The rows were made by another tokenizer, or are too wide, or a loss is not
            finite.
    """
    check_rows(model, rows)
    name = str(model.cfg.model_name)
    totals = np.zeros(rows.n_stories)
    tokens = np.zeros(rows.n_stories, dtype=np.int64)
    last_loss, last_story = [], []
    done = 0
    for losses in row_losses(model, rows.tokens):
        if not np.isfinite(losses).all():
            some = torch.from_numpy(rows.tokens[done : done + 1, :-1].astype("int64"))
            raise InputError(not_finite(model, some.to(model.W_E.device)))
        story = rows.story_ids(slice(done, done + len(losses)))[:, 1:]
        totals += np.bincount(story.ravel(), losses.ravel(), minlength=rows.n_stories)
        tokens += np.bincount(story.ravel(), minlength=rows.n_stories)
        last_loss.append(losses[:, -1].astype(np.float64))
        last_story.append(story[:, -1])
        done += len(losses)
        if progress:
            progress(done, rows.n_rows, name)
    return Evaluation(
        story_loss_nats=totals,
        story_tokens=tokens,
        last_loss_nats=np.concatenate(last_loss),
        last_story=np.concatenate(last_story),
        seed=seed,
    )


def check_rows(model: StageModel, rows: Rows) -> None:
    """Refuse rows that a model cannot read.

    Raises:
        InputError: Another tokenizer made them, or they are too wide.
    """
    if model.tokenizer and model.tokenizer.sha256 != rows.tokenizer_sha256:
        raise InputError(
            "the rows were made by another tokenizer than the model's; open them with "
            "open_rows(corpus, model.tokenizer)"
        )
    if rows.width - 1 > model.config.n_ctx:
        raise InputError(
            f"rows of {rows.width} tokens do not fit a context of {model.config.n_ctx}; open them "
            f"with width={model.config.n_ctx + 1} or less"
        )


def _perplexity_interval(
    totals: Float[np.ndarray, " story"], counts: Int[np.ndarray, " story"], seed: int
) -> tuple[float, float] | None:
    """The interval of the mean loss, exponentiated: a monotone map keeps its coverage."""
    interval = story_bootstrap(totals[:, None], counts, seed=seed)
    if interval.n_stories < 2:
        return None
    return _perplexity(interval.low[0]), _perplexity(interval.high[0])


def _perplexity(loss_nats: float) -> float:
    """`exp`, within the numbers that there are.

    Raises:
        InputError: The loss is beyond 709 nats, which only weights out of all bounds give.
    """
    try:
        return math.exp(loss_nats)
    except OverflowError:
        raise InputError(
            f"a loss of {loss_nats:,.0f} nats has no perplexity; the weights are too large: load "
            "or train the model again"
        ) from None
