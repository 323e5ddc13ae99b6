"""Is a difference more than chance? A test whose unit is the story, and many tests at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import false_discovery_control

FDR = 0.05  # the false discovery rate at which we call something more than chance
DRAWS = 9_999
CHUNK_CELLS = 4_000_000  # signs held at once: 32 MB


def sign_flip_p(
    totals: Float[np.ndarray, "unit k"], *, seed: int, draws: int = DRAWS
) -> Float[np.ndarray, " k"]:
    """Two-sided p values of "the mean is zero" for `k` differences, by flipping whole units.

    If nothing but chance makes one of a pair better, a unit's difference is as likely to have the
    other sign, whatever its size; tokens of one story keep their common sign. Exact where the
    differences are symmetric about zero, otherwise valid as the number of units grows (Romano 1990,
    doi:10.1080/01621459.1990.10474928). The data count as one draw, so that p is never 0 (Phipson
    and Smyth 2010, doi:10.2202/1544-6115.1585).

    Args:
        totals: Sum of the differences within each unit: a story, or a pair of prompts.
        seed: Of the signs, which are the same for all `k`.
        draws: How many sets of signs.

    Returns:
        p values; 1 for a difference that is zero in every unit, nan with fewer than 2 units, which
        leave nothing to flip.
    """
    n_units = len(totals)
    if n_units < 2:
        return np.full(totals.shape[1], np.nan)
    rng = np.random.default_rng([seed, 2])
    # Rounding must not make a set of signs that gives the data again look smaller than them.
    observed = np.abs(totals.sum(axis=0)) * (1 - 1e-9)
    reached = np.zeros(totals.shape[1])
    chunk = max(1, CHUNK_CELLS // n_units)
    for start in range(0, draws, chunk):
        size = (min(chunk, draws - start), n_units)
        signs = 2.0 * rng.integers(0, 2, size=size) - 1.0
        reached += (np.abs(signs @ totals) >= observed).sum(axis=0)
    return (1 + reached) / (draws + 1)


def false_discovery_q(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """The false discovery rate at which each of many tests would just be called a discovery.

    Benjamini and Hochberg 1995; a p value that is nan was no test, and stays nan.

    Example:
        >>> false_discovery_q(np.array([0.01, 0.04, np.nan]))
        array([0.02, 0.04,  nan])
    """
    q = np.full_like(p, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


def with_q(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `q` after `p`: all its rows that have a p value are one family of tests."""
    q = false_discovery_q(table["p"].to_numpy(dtype=np.float64, na_value=np.nan))
    table = table.copy()
    table.insert(table.columns.get_loc("p") + 1, "q", q)
    return table
