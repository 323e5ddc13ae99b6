"""Experts have numbers, not names: match those of two models before comparing them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

PERMUTATIONS = 999


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How well two layers' routing of the same tokens agrees, at the best matching of experts.

    Attributes:
        labels: The reference's number of each expert of the other layer.
        correlation: Of the shares of all tokens and experts, after matching.
        null_mean: The same when the tokens of one layer are permuted, matched anew each time.
        null_high: Its 95th percentile.
        p: Share of permutations with as high a correlation or higher.
        n_tokens: Compared.
    """

    labels: tuple[int, ...]
    correlation: float
    null_mean: float
    null_high: float
    p: float
    n_tokens: int


def align(
    reference: Float[np.ndarray, "token expert"],
    other: Float[np.ndarray, "token expert"],
    *,
    seed: int,
) -> Alignment | None:
    """Match experts so that their shares over the tokens correlate as much as they can.

    The matching with the largest sum of covariances (Kuhn, Nav. Res. Logist. Q. 2 (1955), 83).
    With two experts one of two matchings always correlates positively, so a correlation is to be
    compared with its null and not with 0.

    Args:
        reference: Share of each token that each expert of the reference got.
        other: The same of the layer to be matched, for the same tokens.
        seed: Of the permutations.

    Returns:
        `None` with fewer than 3 tokens, or where one of the two sends every token alike.
    """
    n_tokens = len(reference)
    a, b = (x - x.mean(axis=0) for x in (reference, other))
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    if n_tokens < 3 or scale < 1e-12:
        return None
    labels, best = _match(a.T @ b)
    rng = np.random.default_rng(seed)
    null = np.array([_match(a.T @ b[rng.permutation(n_tokens)])[1] for _ in range(PERMUTATIONS)])
    return Alignment(
        labels=labels,
        correlation=best / scale,
        null_mean=float(null.mean()) / scale,
        null_high=float(np.quantile(null, 0.95)) / scale,
        p=(1 + int((null >= best - 1e-12).sum())) / (1 + PERMUTATIONS),
        n_tokens=n_tokens,
    )


def _match(covariance: Float[np.ndarray, "expert expert"]) -> tuple[tuple[int, ...], float]:
    """The reference's number of each of the other's experts, and the sum that it reaches."""
    rows, columns = linear_sum_assignment(covariance, maximize=True)
    labels = np.empty(len(rows), dtype=np.int64)
    labels[columns] = rows
    return tuple(labels.tolist()), float(covariance[rows, columns].sum())
