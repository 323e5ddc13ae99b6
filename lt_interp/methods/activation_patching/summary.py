"""From recoveries by pair to means, intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control

from lt_interp.methods.activation_patching.sweep import Key, Patched
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.methods.study import Row

INERT = 1e-4  # a recovery that is smaller in every pair is rounding
FLIPS = 10_000  # sign flips of a test: the smallest p is 1 / 10,001

KEY = ("direction", "component", "layer", "head", "position_role")
Values = Float[np.ndarray, "_"]  # of any number of pairs


@dataclass(frozen=True)
class Mean:
    """A mean over pairs.

    Attributes:
        estimate: The mean; `None` of nothing.
        low: Lower end of its 95% interval; `None` with fewer than 2 pairs.
        high: Upper end.
    """

    estimate: float | None
    low: float | None
    high: float | None


def means(columns: Sequence[Values], *, seed: int) -> list[Mean]:
    """Means over pairs with 95% bootstrap intervals.

    Pairs are resampled, each counting once. They share templates and words, so an interval speaks
    of more pairs of these templates, not of other templates.

    Args:
        columns: Quantities, each measured on any number of pairs; equally many are resampled alike.
        seed: Of the resampling.
    """
    found: list[Mean] = [Mean(None, None, None)] * len(columns)
    for n, places in _by_length(columns).items():
        stacked = np.stack([columns[place] for place in places], axis=1)
        interval = story_bootstrap(stacked, np.ones(n, dtype=np.int64), seed=seed)
        for k, place in enumerate(places):
            ends = (float(interval.low[k]), float(interval.high[k])) if n > 1 else (None, None)
            found[place] = Mean(float(interval.estimate[k]), *ends)
    return found


def sign_flip_p(columns: Sequence[Values], *, seed: int, flips: int = FLIPS) -> list[float | None]:
    """Two-sided p of the hypothesis that values are as likely to be positive as negative.

    Under it the sign of every pair's value is a fair coin; p is the share of random sign flips
    whose mean is at least as far from 0 as the observed one, which is counted among them
    (Phipson and Smyth 2010).

    Args:
        columns: Differences, one a pair; those of nothing have no p.
        seed: Of the flips.
        flips: How many.

    Example:
        >>> sign_flip_p([np.zeros(5)], seed=0)
        [1.0]
    """
    found: list[float | None] = [None] * len(columns)
    for n, places in _by_length(columns).items():
        stacked = np.stack([columns[place] for place in places], axis=1)
        rng = np.random.default_rng(seed)
        signs = rng.integers(0, 2, size=(flips, n), dtype=np.int8) * np.float32(2) - 1
        tolerance = 1e-5 * np.abs(stacked).sum(axis=0)  # equal sums differ by rounding
        as_far = np.abs(signs @ stacked.astype(np.float32)) >= (
            np.abs(stacked.sum(axis=0)) - tolerance
        )
        for place, count in zip(places, as_far.sum(axis=0).tolist(), strict=True):
            found[place] = (1 + count) / (1 + flips)
    return found


def cell_rows(
    found: Mapping[Key, Sequence[Patched]], templates: Sequence[str], *, seed: int
) -> list[Row]:
    """The pooled cells of one model as rows.

    Args:
        found: Of every cell, its parts by template.
        templates: The template of every pair of the list.
        seed: Of resampling and sign flips.
    """
    own = [np.concatenate([part.recovery for part in parts]) for parts in found.values()]
    donor = [np.concatenate([part.donor_recovery for part in parts]) for parts in found.values()]
    kl = [np.concatenate([part.kl_nats for part in parts]) for parts in found.values()]
    excess = [_excess(*both) for both in zip(own, donor, strict=True)]
    recoveries, divergences = means(own, seed=seed), means(kl, seed=seed)
    donors = means([values[~np.isnan(values)] for values in donor], seed=seed)
    p = sign_flip_p(excess, seed=seed)
    rows: list[Row] = []
    for place, (key, parts) in enumerate(found.items()):
        names = np.array([templates[pair] for part in parts for pair in part.place])
        by_template = [float(own[place][names == name].mean()) for name in dict.fromkeys(names)]
        rows.append(
            {
                **dict(zip(KEY, key, strict=True)),
                **named(recoveries[place], "recovery", "low", "high"),
                **named(donors[place], "donor_recovery", "donor_low", "donor_high"),
                **named(divergences[place], "kl_nats", "kl_low", "kl_high"),
                "template_low": min(by_template),
                "template_high": max(by_template),
                "p": p[place],
                "n_pairs": len(names),
                "n_templates": len(by_template),
            }
        )
    return rows


def named(mean: Mean, estimate: str, low: str, high: str) -> dict[str, float | None]:
    """A mean as three columns of those names."""
    return {estimate: mean.estimate, low: mean.low, high: mean.high}


def _excess(own: Values, donor: Values) -> Float[np.ndarray, " with_donor"]:
    """By how much the right source beats the wrong donor, where there is one.

    Nothing, where no patch moves anything: both runs hold the same there, so there is nothing to
    carry and nothing to test.
    """
    return (own - donor)[~np.isnan(donor)] if np.abs(own).max() > INERT else own[:0]


def _by_length(columns: Sequence[Values]) -> dict[int, list[int]]:
    """Places of the columns that have equally many values; none that has no value."""
    places: dict[int, list[int]] = {}
    for place, values in enumerate(columns):
        if len(values):
            places.setdefault(len(values), []).append(place)
    return places


def with_q(rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Benjamini-Hochberg over all rows that have a p; `None` for the others."""
    tested = [place for place, row in enumerate(rows) if row["p"] is not None]
    adjusted: list[float | None] = [None] * len(rows)
    if tested:
        values = false_discovery_control([rows[place]["p"] for place in tested])
        for place, value in zip(tested, values, strict=True):
            adjusted[place] = float(value)
    return adjusted
