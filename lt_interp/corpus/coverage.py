"""How much of a corpus the most frequent GPT-2 tokens cover: what a vocabulary size costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lt_interp.corpus.gpt2_bpe import Gpt2Bpe
from lt_interp.corpus.gpt2_compact import shipped_bpe_folder
from lt_interp.errors import InputError

TOP_N = (1024, 2048, 4096, 6144, 8192, 10_000, 16_384)
SHARES = (0.99, 0.995, 0.999)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The tokens of a corpus, counted and ranked.

    Attributes:
        n_tokens: GPT-2 tokens in the corpus; the ends of stories are not counted.
        cumulative: Int64 [n_distinct]: how many of them the r + 1 most frequent ones make up.
    """

    n_tokens: int
    cumulative: np.ndarray

    def by_top_n(self, sizes: Sequence[int] = TOP_N) -> list[dict[str, float]]:
        """Coverage of the n most frequent tokens.

        Args:
            sizes: The numbers n, each at least 1; special ids are not among them, so a vocabulary
                of 4,096 ids keeps the top 4,093.

        Returns:
            One row a size: `top_n` and `coverage_percent` in 0..100. An n beyond the number of
            distinct tokens covers everything.
        """
        if min(sizes) < 1:
            raise InputError(f"{min(sizes)} tokens cover nothing; choose sizes of 1 or more")
        return [
            {"top_n": n, "coverage_percent": 100 * int(self.cumulative[:n][-1]) / self.n_tokens}
            for n in sizes
        ]

    def tokens_needed(self, shares: Sequence[float] = SHARES) -> list[dict[str, float]]:
        """The smallest number of tokens that cover a share of the corpus.

        Args:
            shares: Shares of the corpus, above 0 and up to 1.

        Returns:
            One row a share: `share` and `n_tokens_needed`.
        """
        wrong = next((share for share in shares if not 0 < share <= 1), None)
        if wrong is not None:
            raise InputError(f"{wrong} is no share of a corpus; choose above 0 and up to 1")
        rank = np.searchsorted(self.cumulative / self.n_tokens, shares, side="left")
        return [
            {"share": share, "n_tokens_needed": int(r) + 1}
            for share, r in zip(shares, rank, strict=True)
        ]


def measure_coverage(
    stories: Iterable[str],
    *,
    bpe_folder: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Coverage:
    """Count a corpus's GPT-2 tokens.

    Args:
        stories: The stories.
        bpe_folder: A folder with GPT-2's `vocab.bpe`; the shipped one by default.
        progress: Called with the number of stories counted so far, after every 1,000.

    Raises:
        InputError: There is nothing to count.
    """
    counts = Gpt2Bpe(bpe_folder or shipped_bpe_folder()).count(stories, progress=progress)
    cumulative = np.cumsum(np.sort(counts[counts > 0])[::-1])
    if len(cumulative) == 0:
        raise InputError("the corpus has no tokens to cover; choose one with stories")
    return Coverage(n_tokens=int(cumulative[-1]), cumulative=cumulative)
