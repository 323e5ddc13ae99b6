"""Scores of a head, query by query, and their sums within each story."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

# Measured on stories. A score without a unit is a share of the query's attention, or of queries.
STORY_SCORES = (
    "current",
    "same_token",
    "previous",
    "first",
    "last_8",
    "self_largest",
    "self_over_half",
    "mean_distance_tokens",
    "entropy_nats",
)
# Measured on repeated random tokens.
REPEAT_SCORES = ("induction", "duplicate")
# The uniform pattern is the extreme of these (no other has an entropy as high, none has fewer
# queries with more than half on themselves), so chance alone moves a head away from it in one
# direction and "differs from uniform" would be true of every head that is not exactly uniform.
UNTESTED = ("self_over_half", "entropy_nats")
NEAR = 8  # tokens, the query's own included
# Two keys tie when their weights differ by no more than this share: equal scores that a matrix
# product adds up in another order differ by some 1e-6.
TIE = 1e-4


def query_scores(
    pattern: Float[Tensor, "layer batch head pos pos"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head queries score"]:
    """The scores of every query but the first, in the order of `STORY_SCORES`.

    The first query has only itself to look at: all its scores are the same for every head.

    - `current` A[q, q], `previous` A[q, q-1], `first` A[q, 0], `last_8` the sum over the last
      eight keys and `same_token` over the keys with the query's own token id, itself included;
    - `self_largest` 1 where no key has more weight than the query's own, shared among ties;
    - `self_over_half` 1 where A[q, q] > 1/2;
    - mean distance sum_k A[q, k] (q - k), entropy -sum_k A ln A.

    Args:
        pattern: Attention, rows that sum to 1 over the keys up to the query's own.
        tokens: What was read.
    """
    tokens = tokens.to(pattern.device)
    same = (tokens[:, 1:, None] == tokens[:, None, :])[:, None].to(pattern.dtype)
    pattern = pattern[..., 1:, :]
    n = pattern.shape[-2]
    behind = [_behind(pattern, distance) for distance in range(min(NEAR, n + 1))]
    current = behind[0]
    largest = pattern.amax(dim=-1)
    bar = largest * (1 - TIE)
    place = torch.arange(n + 1, dtype=pattern.dtype, device=pattern.device)
    scores = [
        current,
        (pattern * same).sum(dim=-1),
        behind[1],
        pattern[..., 0],
        torch.stack(behind).sum(dim=0),
        (current >= bar) / (pattern >= bar[..., None]).sum(dim=-1),
        (current > 0.5).to(pattern.dtype),
        place[1:] - pattern @ place,
        torch.special.entr(pattern).sum(dim=-1),
    ]
    return torch.stack(scores, dim=-1)


def _behind(
    pattern: Float[Tensor, "*lead queries pos"], distance: int
) -> Float[Tensor, "*lead queries"]:
    """A[q, q - distance] of the queries from 1 on, 0 where there is no such key."""
    found = pattern.diagonal(offset=1 - distance, dim1=-2, dim2=-1)
    return pad(found, (pattern.shape[-2] - found.shape[-1], 0))


def repeat_scores(
    pattern: Float[Tensor, "layer batch head pos pos"], *, period: int
) -> Float[Tensor, "layer batch head queries score"]:
    """Induction A[q, q-P+1] and duplicate A[q, q-P] on a sequence of period `P`.

    Only queries of the second repetition have what they look for before them. Olsson et al. 2022
    (arXiv 2209.11895) name the first; offset-diagonal means as in TransformerLens.

    Args:
        pattern: Attention over two repetitions.
        period: Tokens of one repetition.
    """
    second = pattern[..., period:, :]
    induction = second.diagonal(offset=1, dim1=-2, dim2=-1)
    duplicate = second.diagonal(dim1=-2, dim2=-1)
    return torch.stack([induction, duplicate], dim=-1)


def sums_by_unit(
    scores: Float[Tensor, "layer batch head queries score"],
    unit: Int[np.ndarray, "batch queries"],
    n_units: int,
) -> Float[np.ndarray, "unit layer head score"]:
    """Sums over the queries of each story (or sequence), in double precision.

    Args:
        scores: Of every query.
        unit: The number of the story that each query stands in.
        n_units: How many stories there are.
    """
    n_layers, _, n_heads, _, n_scores = scores.shape
    by_query = scores.permute(1, 3, 0, 2, 4).reshape(-1, n_layers * n_heads * n_scores)
    totals = by_query.new_zeros(n_units, by_query.shape[1], dtype=torch.float64)
    place = torch.from_numpy(unit.ravel().astype(np.int64)).to(totals.device)
    totals.index_add_(0, place, by_query.double())
    return totals.reshape(n_units, n_layers, n_heads, n_scores).cpu().numpy()
