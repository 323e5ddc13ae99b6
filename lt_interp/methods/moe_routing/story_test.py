"""Does a token go to an expert at another rate than the corpus does, stories being what varies?

What a token does in one story may be one decision made many times: about the same girl, on the same
page. The test therefore gives every story one vote, weighted by how often the token stands in it.
Whatever the dependence within a story, the variance of the token's share is then at most that of
`n_eff = (sum n_s)^2 / sum n_s^2` independent decisions (Kish, Survey Sampling, 1965), and the tail
is that of a binomial of that size, continued to fractions by the incomplete beta function.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import betainc


def effective_stories(
    total: Int[np.ndarray, " token"], squares: Int[np.ndarray, " token"]
) -> Float[np.ndarray, " token"]:
    """How many independent decisions a token's occurrences are worth at least.

    Args:
        total: Occurrences of each token.
        squares: Of each token, the sum over stories of its squared occurrences.

    Returns:
        Between 1 (all in one story) and the number of stories; 0 for a token that never occurs.

    Example:
        >>> effective_stories(np.array([4]), np.array([2 * 2 + 2 * 2]))
        array([2.])
    """
    return np.square(total.astype(np.float64)) / np.maximum(squares, 1)


def story_p_values(
    shares: Float[np.ndarray, "*set"],
    n_eff: Float[np.ndarray, "*set"],
    loads: Float[np.ndarray, "*set"],
) -> Float[np.ndarray, "*set"]:
    """Two-sided p values of shares against loads.

    Args:
        shares: Share of each token's decisions that an expert got.
        n_eff: What the decisions are worth, from `effective_stories`.
        loads: Share of all decisions that this expert got; its own uncertainty is small beside
            the token's and is neglected.
    """
    sent = shares * n_eff
    upper = _tail(sent, n_eff, loads)
    lower = _tail(n_eff - sent, n_eff, 1 - loads)
    return np.minimum(1.0, 2 * np.minimum(upper, lower))


def _tail(sent: np.ndarray, n: np.ndarray, load: np.ndarray) -> np.ndarray:
    """Probability that a binomial of size `n` is `sent` or more; both may be fractions."""
    some = sent > 0
    return np.where(some, betainc(np.where(some, sent, 1.0), n - sent + 1, load), 1.0)
