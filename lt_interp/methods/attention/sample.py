"""What heads are scored on: rows of stories drawn by seed, and random tokens that repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError

PERIODS = (8, 16, 50)
SEQUENCES = 64  # a period


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeats:
    """Random tokens that repeat, and the same queries where nothing does.

    Attributes:
        period: Tokens of one repetition.
        repeated: Ids, all different, and then the same ids once more.
        fresh: The same second half behind a first half of other ids.
    """

    period: int
    repeated: Int[np.ndarray, "sequence both"]
    fresh: Int[np.ndarray, "sequence both"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The tokens that every model of a study is scored on.

    Attributes:
        tokens: Rows of stories.
        unit: For every query but the first of each row, its story (numbered anew from 0) times
            `n_bins`, plus the bin of its place in the row.
        n_bins: Places come in bins that double: 1, 2 to 3, 4 to 7 and so on.
        corpus_story: The number in the corpus of each of those stories.
        repeats: Random tokens that repeat, the shortest period first.
    """

    tokens: Int[np.ndarray, "row pos"]
    unit: Int[np.ndarray, "row queries"]
    n_bins: int
    corpus_story: Int[np.ndarray, " story"]
    repeats: tuple[Repeats, ...]

    @property
    def n_units(self) -> int:
        """Stories times bins."""
        return len(self.corpus_story) * self.n_bins

    @property
    def unit_counts(self) -> Int[np.ndarray, " unit"]:
        """Queries of each unit."""
        return np.bincount(self.unit.ravel(), minlength=self.n_units)


def draw_sample(rows: Rows, *, width: int, n_rows: int, eos_id: int, seed: int) -> Sample:
    """Draw rows without replacement, and repeated tokens from the ids that stand in them.

    Args:
        rows: The corpus.
        width: Tokens of a row to read.
        n_rows: Rows to draw; all of them if there are no more.
        eos_id: The id between stories, which is none of a story's words.
        seed: Of both draws.

    Raises:
        InputError: Rows of fewer than 4 tokens, or fewer than 4 different ids in them.
    """
    chosen = np.arange(rows.n_rows)
    if rows.n_rows > n_rows:
        chosen = np.sort(np.random.default_rng([seed, 0]).choice(rows.n_rows, n_rows, False))
    tokens = np.stack([rows.tokens[row, :width] for row in chosen]).astype(np.int64)
    corpus_story, story = np.unique(rows.story_ids(chosen)[:, 1:width], return_inverse=True)
    bins = np.floor(np.log2(np.arange(1, width))).astype(np.int64)
    n_bins = int(bins.max()) + 1
    return Sample(
        tokens=tokens,
        unit=story.reshape(len(tokens), width - 1).astype(np.int64) * n_bins + bins,
        n_bins=n_bins,
        corpus_story=corpus_story.astype(np.int64),
        repeats=random_repeats(np.setdiff1d(tokens, [eos_id]), width=width, seed=seed),
    )


def random_repeats(ids: Int[np.ndarray, " id"], *, width: int, seed: int) -> tuple[Repeats, ...]:
    """Sequences of random ids for every period: nothing but repetition is to be found in them.

    Args:
        ids: What is drawn from, each as likely as another.
        width: Longest sequence; periods are `PERIODS`, or less where ids or width are few.
        seed: Of the draw.

    Raises:
        InputError: No period of 2 or more is possible.
    """
    longest = min(width, len(ids)) // 2
    if longest < 2:
        raise InputError(
            f"rows of {width} tokens with {len(ids)} different ids cannot hold two repetitions of "
            "2 tokens; take rows of 4 tokens and 4 different ids or more"
        )
    rng = np.random.default_rng([seed, 1])
    return tuple(
        _repeats(ids, period, rng) for period in sorted({min(p, longest) for p in PERIODS})
    )


def _repeats(ids: Int[np.ndarray, " id"], period: int, rng: np.random.Generator) -> Repeats:
    drawn = np.stack([rng.choice(ids, 2 * period, replace=False) for _ in range(SEQUENCES)])
    second = drawn[:, period:].astype(np.int64)
    return Repeats(
        period=period,
        repeated=np.concatenate([second, second], axis=1),
        fresh=drawn.astype(np.int64),
    )
