"""Where each token goes: shares with two intervals, the article's rule and one that is a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.resampling import resampled_ratios
from lt_interp.methods.moe_routing.story_test import effective_stories, story_p_values
from lt_interp.methods.moe_routing.tally import Tallied
from lt_interp.methods.routing_names import POOLED
from lt_interp.methods.significance import FDR, false_discovery_q

LEAST = 100  # decisions of a token that the article asks for
RULE = 0.8  # share that its rule asks to exceed
Z = 1.959963984540054  # of a 95% interval

TOKENS = {
    "layer": str, "token": str, "token_id": int, "n_decisions": int, "n_stories": int,
    "expert": int, "share": float, "wilson_low": float, "wilson_high": float,
    "story_low": float, "story_high": float, "over_80": bool,
    "effective_stories": float, "p": float,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenStories:
    """Some tokens of a set of decisions.

    Attributes:
        ids: Token ids, ascending.
        sent: Decisions of each token and expert.
        n_stories: That have the token.
        effective_stories: What the decisions of each are worth.
        loads: Share of all decisions of the set that each expert got.
    """

    ids: Int[np.ndarray, " token"]
    sent: Int[np.ndarray, "token expert"]
    n_stories: Int[np.ndarray, " token"]
    effective_stories: Float[np.ndarray, " token"]
    loads: Float[np.ndarray, " expert"]

    @property
    def counts(self) -> Int[np.ndarray, " token"]:
        """Decisions of each token."""
        return self.sent.sum(axis=1)

    @property
    def shares(self) -> Float[np.ndarray, "token expert"]:
        """Share of each token's decisions that an expert got."""
        return self.sent / self.counts[:, None]


def token_stories(one: Tallied, *, least: int = LEAST) -> TokenStories:
    """The tokens that are common enough.

    Args:
        one: A set of decisions.
        least: Decisions that a token needs to be counted.
    """
    sent = one.token_counts()
    ids = np.flatnonzero(sent.sum(axis=1) >= least)
    n_stories, squares = one.tally.story_tokens.votes()
    everywhere = one.tally.by_token.sum(axis=1)  # the occurrences that `squares` are of
    return TokenStories(
        ids=ids,
        sent=sent[ids],
        n_stories=n_stories[ids],
        effective_stories=effective_stories(everywhere[ids], squares[ids]),
        loads=one.loads(),
    )


def share_interval(
    one: Tallied, ids: Int[np.ndarray, " token"], expert: Int[np.ndarray, " token"], *, seed: int
) -> tuple[Float[np.ndarray, " token"], Float[np.ndarray, " token"]]:
    """The 95% interval of each token's share of an expert when stories are resampled.

    Every draw takes the same stories for all tokens. nan for a token of a single story.

    Args:
        one: A set of decisions.
        ids: The tokens.
        expert: Of each token.
        seed: Of the resampling.
    """
    place = np.full(one.tally.d_vocab, -1)
    place[ids] = np.arange(len(ids))

    def tables() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Decisions for the expert and all decisions, of some stories at a time."""
        for piece in one.tally.story_tokens.pieces():
            sent = one.pool(piece.counts)
            favoured = sent[np.arange(len(sent)), expert[place[piece.token]]]
            yield (piece.dense(place, favoured, n=len(ids)),
                   piece.dense(place, sent.sum(axis=1), n=len(ids)))  # fmt: skip

    return resampled_ratios(tables, n=len(ids), seed=seed)


def wilson(
    sent: Int[np.ndarray, "*set"], n: Int[np.ndarray, "*set"]
) -> tuple[Float[np.ndarray, "*set"], Float[np.ndarray, "*set"]]:
    """The 95% score interval of a share, as if decisions were independent.

    Wilson, J. Am. Stat. Assoc. 22 (1927), 209.
    """
    share = sent / n
    centre = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def token_rows(one: Tallied, name: Callable[[int], str], *, seed: int) -> list[dict[str, Any]]:
    """A row for every token with enough decisions.

    `expert` is the one that gets most of the token's decisions, as in the article's rule; `p` is
    of its share against the load, and with more than two experts multiplied by how many others
    it could have been.

    Args:
        one: A set of decisions.
        name: The text of a token id.
        seed: Of the resampling of stories.
    """
    found = token_stories(one)
    if not len(found.ids):
        return []
    favoured, n = found.shares.argmax(axis=1), found.counts
    sent = np.take_along_axis(found.sent, favoured[:, None], axis=1)[:, 0]
    share, loads = sent / n, found.loads[favoured]
    p = story_p_values(share, found.effective_stories, loads)
    columns = {
        "token_id": found.ids, "n_decisions": n, "n_stories": found.n_stories,
        "expert": favoured, "share": share, "over_80": share > RULE,
        "effective_stories": found.effective_stories,
        "p": np.minimum(1.0, (one.n_experts - 1) * p),
    }  # fmt: skip
    columns["wilson_low"], columns["wilson_high"] = wilson(sent, n)
    ends = share_interval(one, found.ids, favoured, seed=seed)
    columns["story_low"], columns["story_high"] = ends
    values = zip(*(_short(column) for column in columns.values()))
    return [{"layer": one.name, "token": name(row[0]), **dict(zip(columns, row))} for row in values]


def discoveries(tokens: pd.DataFrame) -> pd.DataFrame:
    """The table with `q` and `discovery`: false discoveries held to 5% of those named.

    Benjamini-Hochberg over every token, layer and model together; the pooled sets, which hold the
    same decisions again, are a family of their own.
    """
    tokens = tokens.copy()
    tokens["q"] = np.nan
    pooled = tokens["layer"] == POOLED
    for family in (pooled, ~pooled):
        tokens.loc[family, "q"] = false_discovery_q(tokens.loc[family, "p"].to_numpy())
    tokens["discovery"] = tokens["q"] <= FDR
    tokens["q"] = _short(tokens["q"].to_numpy())
    return tokens


def _short(column: np.ndarray) -> list[Any]:
    """Python values, fractions to four figures: the table has thousands of rows."""
    values = column.tolist()
    return [float(f"{one:.4g}") for one in values] if column.dtype.kind == "f" else values
