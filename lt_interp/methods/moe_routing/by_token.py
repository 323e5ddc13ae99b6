"""Where each token goes: shares with two intervals, the article's rule and one that is a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.decisions import POOLED
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.story_test import effective_stories, story_p_values
from lt_interp.methods.significance import false_discovery_q
from lt_interp.methods.statistics import story_ratios

LEAST = 100  # decisions of a token that the article asks for
RULE = 0.8  # share that its rule asks to exceed
FDR = 0.05
Z = 1.959963984540054  # of a 95% interval

TOKENS = {
    "layer": str, "token": str, "token_id": int, "n_decisions": int, "n_stories": int,
    "expert": int, "share": float, "wilson_low": float, "wilson_high": float,
    "story_low": float, "story_high": float, "over_80": bool,
    "effective_stories": float, "p": float,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenStories:
    """The tokens that are common enough, story by story.

    Attributes:
        ids: Token ids, ascending.
        sent: Decisions of each story, token and expert.
        loads: Share of all decisions of the set that each expert got.
        n_decisions: Of the set, of rare tokens too.
    """

    ids: Int[np.ndarray, " token"]
    sent: Int[np.ndarray, "story token expert"]
    loads: Float[np.ndarray, " expert"]
    n_decisions: int

    @property
    def counts(self) -> Int[np.ndarray, "story token"]:
        """Decisions of each story and token."""
        return self.sent.sum(axis=2)

    @property
    def shares(self) -> Float[np.ndarray, "token expert"]:
        """Share of each token's decisions that an expert got."""
        return self.sent.sum(axis=0) / self.counts.sum(axis=0)[:, None]


def token_stories(
    routed: Routed, *, least: int = LEAST, ids: Int[np.ndarray, " token"] | None = None
) -> TokenStories:
    """Count decisions by story.

    Args:
        routed: A set of decisions.
        least: Decisions that a token needs to be counted.
        ids: These tokens instead, each with a decision.
    """
    if ids is None:
        ids = np.flatnonzero(routed.token_counts().sum(axis=1) >= least)
    place = np.full(routed.d_vocab, -1)
    place[ids] = np.arange(len(ids))
    some = place[routed.token] >= 0
    shape = (routed.n_stories, len(ids), routed.n_experts)
    code = np.ravel_multi_index(
        (routed.story[some], place[routed.token[some]], routed.expert[some]), shape
    )
    return TokenStories(
        ids=ids,
        sent=np.bincount(code, minlength=int(np.prod(shape))).reshape(shape),
        loads=np.bincount(routed.expert, minlength=routed.n_experts) / routed.n,
        n_decisions=routed.n,
    )


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


def token_rows(
    routed: Routed, name: Callable[[int], str], *, seed: int, least: int = LEAST
) -> list[dict[str, Any]]:
    """A row for every token with enough decisions.

    `expert` is the one that gets most of the token's decisions, as in the article's rule; `p` is
    of its share against the load, and with more than two experts multiplied by how many others
    it could have been.

    Args:
        routed: A set of decisions.
        name: The text of a token id.
        seed: Of the resampling of stories.
        least: Decisions that a token needs.
    """
    found = token_stories(routed, least=least)
    if not len(found.ids):
        return []
    favoured = found.shares.argmax(axis=1)
    sent = np.take_along_axis(found.sent, favoured[None, :, None], axis=2)[..., 0]
    n, n_eff = found.counts.sum(axis=0), effective_stories(found.counts)
    share, loads = sent.sum(axis=0) / n, found.loads[favoured]
    p = np.minimum(1.0, (routed.n_experts - 1) * story_p_values(share, n_eff, loads))
    columns = {
        "token_id": found.ids, "n_decisions": n, "n_stories": (found.counts > 0).sum(axis=0),
        "expert": favoured, "share": share, "over_80": share > RULE,
        "effective_stories": n_eff, "p": p,
    }  # fmt: skip
    columns["wilson_low"], columns["wilson_high"] = wilson(sent.sum(axis=0), n)
    shares = story_ratios(sent.astype(float), found.counts.astype(float), seed=seed)
    columns["story_low"], columns["story_high"] = shares.low, shares.high
    values = zip(*(_short(column) for column in columns.values()))
    return [
        {"layer": routed.name, "token": name(row[0]), **dict(zip(columns, row))} for row in values
    ]


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
