"""From recoveries by pair to means, intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lt_interp.methods.activation_patching.sweep import Key, Patched
from lt_interp.methods.significance import sign_flip_p
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.methods.study import Row

INERT = 1e-4  # a recovery that is smaller in every pair is rounding

KEY = ("direction", "component", "layer", "head", "position_role")
Values = Float[np.ndarray, "_"]  # of any number of pairs


@dataclass(frozen=True)
class Mean:
    """A mean over pairs.

    Attributes:
        estimate: The mean; `None` of nothing.
        low: Lower end of its 95% interval; nan with fewer than 2 pairs.
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
            ends = (interval.estimate[k], interval.low[k], interval.high[k])
            found[place] = Mean(*(float(end) for end in ends))
    return found


def p_values(columns: Sequence[Values], *, seed: int) -> list[float | None]:
    """Two-sided p of "the mean over pairs is zero", by flipping signs of pairs.

    Args:
        columns: Differences, one a pair; those of nothing have no p.
        seed: Of the flips.
    """
    found: list[float | None] = [None] * len(columns)
    for places in _by_length(columns).values():
        p = sign_flip_p(np.stack([columns[place] for place in places], axis=1), seed=seed)
        for place, value in zip(places, p.tolist(), strict=True):
            found[place] = value
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
    p = p_values(excess, seed=seed)
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
