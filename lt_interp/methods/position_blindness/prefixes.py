"""Prefixes of stories, each beside another story's prefix of the same length and last token."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError

POOL_ROWS = 2048  # rows among which another story's prefix is looked for: half a million tokens


@dataclass(frozen=True, kw_only=True, eq=False)
class Prefixes:
    """What the orders are made of.

    A prefix and the token after it lie inside one story and one row, so that its tokens belong
    together and every one of them to the story that an interval resamples.

    Attributes:
        tokens: Token ids; what stands right of a prefix is 0 and never read.
        length: Tokens of each prefix.
        next_token: The token that follows it in the story.
        story: The story that it was cut from.
        other: A prefix of another story, of the same length and with the same last token; zeros
            where none was found.
        has_other: Whether one was found.
        n_excluded: Prefixes that were cut and left out, because their tokens before the last are
            all equal and have one order only.
    """

    tokens: Int[np.ndarray, "prefix longest"]
    length: Int[np.ndarray, " prefix"]
    next_token: Int[np.ndarray, " prefix"]
    story: Int[np.ndarray, " prefix"]
    other: Int[np.ndarray, "prefix longest"]
    has_other: Bool[np.ndarray, " prefix"]
    n_excluded: int

    def __len__(self) -> int:
        """How many prefixes there are."""
        return len(self.length)


def cut_prefixes(rows: Rows, *, n: int, lengths: tuple[int, int], seed: int) -> Prefixes:
    """Cut prefixes at random, from as many stories as there are before any gives a second.

    Args:
        rows: Where they are cut from.
        n: How many.
        lengths: Fewest and most tokens of a prefix; every length that fits is as likely.
        seed: Of the stories, the places, the lengths and the other stories' prefixes.

    Raises:
        InputError: A length is out of range, or no story holds a prefix whose order can change.
    """
    _check(n, lengths)
    rng = np.random.default_rng(seed)
    tokens = np.zeros((n, lengths[1]), dtype=np.int64)
    places = _places(rows, n, lengths, rng)
    following, movable = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    for prefix, (_, start, length) in enumerate(places):
        row, column = divmod(start, rows.width)
        cut = rows.tokens[row, column : column + length + 1].astype(np.int64)
        tokens[prefix, :length], following[prefix] = cut[:-1], cut[-1]
        movable[prefix] = len(np.unique(cut[:-2])) > 1
    if not movable.any():
        raise InputError(
            f"no story has {lengths[0] + 1} tokens in one row whose order could change; use longer "
            "stories or wider rows"
        )
    kept = np.flatnonzero(movable)
    story, _, length = np.array(places, dtype=np.int64)[kept].T
    other, has_other = _others(rows, tokens[kept], length, story, rng)
    return Prefixes(
        tokens=tokens[kept],
        length=length,
        next_token=following[kept],
        story=story,
        other=other,
        has_other=has_other,
        n_excluded=len(places) - len(kept),
    )


def _check(n: int, lengths: tuple[int, int]) -> None:
    shortest, longest = lengths
    if n < 1:
        raise InputError(f"{n} prefixes cannot be compared; ask for 1 or more")
    if not 3 <= shortest <= longest:
        raise InputError(
            f"prefixes of {shortest} to {longest} tokens: an order needs 3 tokens or more, the "
            "last of them fixed, and the shortest may not exceed the longest"
        )


def _places(
    rows: Rows, n: int, lengths: tuple[int, int], rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Story, first token in the joined rows and length of up to `n` prefixes."""
    shortest, longest = lengths
    order = rng.permutation(rows.n_stories)
    places: list[tuple[int, int, int]] = []
    while True:
        n_before = len(places)
        for story in order.tolist():
            runs = _runs(rows, story, at_least=shortest + 1)
            if not runs:
                continue
            first, last = runs[rng.integers(len(runs))]
            length = int(rng.integers(shortest, min(longest, last - first - 1) + 1))
            places.append((story, int(rng.integers(first, last - length)), length))
            if len(places) == n:
                return places
        if len(places) == n_before:
            return places


def _runs(rows: Rows, story: int, *, at_least: int) -> list[tuple[int, int]]:
    """The pieces of a story that lie in one row each, as first token and the one after the last."""
    begin = int(rows.story_starts[story])
    joined = rows.n_rows * rows.width
    end = int(rows.story_starts[story + 1]) if story + 1 < rows.n_stories else joined
    edges = [begin, *range((begin // rows.width + 1) * rows.width, end, rows.width), end]
    return [(first, last) for first, last in pairwise(edges) if last - first >= at_least]


def _others(
    rows: Rows,
    tokens: Int[np.ndarray, "prefix longest"],
    length: Int[np.ndarray, " prefix"],
    story: Int[np.ndarray, " prefix"],
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, "prefix longest"], Bool[np.ndarray, " prefix"]]:
    """For each prefix another story's, of its length and last token, drawn from a pool of rows."""
    pool = np.sort(rng.permutation(rows.n_rows)[:POOL_ROWS])
    ids, stories = rows.tokens[pool].astype(np.int64), rows.story_ids(pool).astype(np.int64)
    place = pool[:, None] * rows.width + np.arange(rows.width)
    run_start = np.maximum(pool[:, None] * rows.width, rows.story_starts[stories])
    behind = place - run_start + 1  # tokens of the same story and row up to here
    other = np.zeros_like(tokens)
    has_other = np.zeros(len(tokens), dtype=bool)
    for prefix, n_tokens in enumerate(length.tolist()):
        last = tokens[prefix, n_tokens - 1]
        fits = (ids == last) & (behind >= n_tokens) & (stories != story[prefix])
        found = np.flatnonzero(fits)
        if len(found):
            row, column = divmod(int(rng.choice(found)), rows.width)
            other[prefix, :n_tokens] = ids[row, column + 1 - n_tokens : column + 1]
            has_other[prefix] = True
    return other, has_other
