"""Which tokens are counted together: by kind of word, by place in the story, by repetition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int8

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.token_classes import CLASSES, token_classes

MAX_ROWS = 256

ALL, TOKEN_CLASS, POSITION, NAMES = "all tokens", "token class", "position in story", "names"
LAST = "last token of each row"  # of all rows, in the stages that the article scores there
FIRST_TOKENS, MIDDLE_TOKENS = 32, 128  # where the second and the third stretch of a story begin
NEW, SEEN = "name not yet seen", "name seen before"
# The classes of every grouping of the sample, in the order of the tables.
GROUPS: dict[str, tuple[str, ...]] = {
    ALL: ("all",),
    TOKEN_CLASS: CLASSES,
    POSITION: (
        f"tokens 1 to {FIRST_TOKENS}",
        f"tokens {FIRST_TOKENS + 1} to {MIDDLE_TOKENS}",
        f"tokens {MIDDLE_TOKENS + 1} and on",
    ),
    NAMES: (NEW, SEEN),
}
NO_CLASS = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows that are scored, and what is known of every token that is predicted.

    Attributes:
        tokens: Ids of the rows; columns 1 and on are predicted.
        story: The number of the story that each predicted token stands in.
        classes: For each grouping, the number of the class of each predicted token in
            `GROUPS[grouping]`, or `NO_CLASS`.
        n_stories: How many stories the corpus has.
    """

    tokens: Int[np.ndarray, "row width"]
    story: Int[np.ndarray, "row pos"]
    classes: dict[str, Int8[np.ndarray, "row pos"]]
    n_stories: int


def draw_sample(rows: Rows, tokenizer: Tokenizer, *, seed: int, max_rows: int = MAX_ROWS) -> Sample:
    """Take the rows, all of them if there are few enough, and class what is predicted in them.

    Args:
        rows: Token rows of a corpus.
        tokenizer: That made them.
        seed: Of the draw, which is without replacement.
        max_rows: How many to take at most.
    """
    numbers = np.arange(rows.n_rows)
    if rows.n_rows > max_rows:
        drawn = np.random.default_rng(seed).choice(rows.n_rows, size=max_rows, replace=False)
        numbers = np.sort(drawn)
    tokens = np.asarray(rows.tokens[numbers]).astype(np.int64)
    story = rows.story_ids(numbers)
    of_id = np.array([CLASSES.index(name) for name in token_classes(tokenizer)], dtype=np.int8)
    words = of_id[tokens[:, 1:]]
    place = (
        numbers[:, None] * rows.width + np.arange(1, rows.width) - rows.story_starts[story[:, 1:]]
    )
    classes = {
        ALL: np.zeros_like(words),
        TOKEN_CLASS: words,
        POSITION: np.digitize(place, [FIRST_TOKENS, MIDDLE_TOKENS]).astype(np.int8),
        NAMES: _repetition(seen_before(tokens, story)[:, 1:], words),
    }
    return Sample(tokens=tokens, story=story[:, 1:], classes=classes, n_stories=rows.n_stories)


def seen_before(
    tokens: Int[np.ndarray, "row width"], story: Int[np.ndarray, "row width"]
) -> Bool[np.ndarray, "row width"]:
    """Whether the same token stands earlier in the same row and the same story."""
    seen = np.zeros(tokens.shape, dtype=bool)
    for place in range(1, tokens.shape[1]):
        same = tokens[:, :place] == tokens[:, place, None]
        same &= story[:, :place] == story[:, place, None]
        seen[:, place] = same.any(axis=1)
    return seen


def _repetition(
    seen: Bool[np.ndarray, "row pos"], words: Int8[np.ndarray, "row pos"]
) -> Int8[np.ndarray, "row pos"]:
    """Names by whether they were seen before; other tokens have no class."""
    is_name = words == CLASSES.index("name")
    return np.where(is_name, seen.astype(np.int8), np.int8(NO_CLASS))
