"""The tables of shuffled prefixes and swapped neighbours, as markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lt_interp.figures.labels import stage_label
from lt_interp.report.markdown import plain, table
from lt_interp.report.numbers import MISSING, count, nats, percent, small, with_ends


def verdicts_table(verdicts: pd.DataFrame) -> str:
    """A row a stage and weights: the verdict, what was expected, and the measure behind it."""
    rows = [
        [
            plain(stage_label(row.stage)), plain(row.weights), plain(row.verdict),
            "yes" if row.verdict == row.expected else f"no: {plain(row.expected)}",
            with_ends(row.sensitivity, row.sensitivity_low, row.sensitivity_high, percent),
            small(row.max_abs_difference_behind_window), small(row.bound_behind_window),
        ]
        for row in verdicts.itertuples()
    ]  # fmt: skip
    headers = ["stage", "weights", "verdict", "what the architecture leads to expect?",
               "share of another story's effect", "largest difference behind what is read",
               "its rounding bound"]  # fmt: skip
    return table(headers, rows, align="llllrrr")


def permutations_table(permutations: pd.DataFrame) -> str:
    """A row a stage and weights: what shuffling does, and another story's prefix beside it."""
    rows = [
        [
            plain(stage_label(row.stage)), plain(row.weights),
            small(row.max_abs_logit_difference), small(row.bound),
            with_ends(row.kl_nats, row.kl_low, row.kl_high, small),
            with_ends(row.reference_kl_nats, row.reference_low, row.reference_high, small),
            with_ends(row.top1_agreement, row.top1_low, row.top1_high, percent),
            with_ends(row.loss_change_nats, row.loss_change_low, row.loss_change_high, nats),
        ]
        for row in permutations.itertuples()
    ]  # fmt: skip
    headers = ["stage", "weights", "largest difference of a logit", "rounding bound",
               "KL in nats", "KL to another story", "same top token",
               "change of loss in nats"]  # fmt: skip
    return table(headers, rows, align="ll" + "r" * 6)


def swaps_table(swaps: pd.DataFrame, stages: Sequence[str]) -> str:
    """A row a stage that sees swaps, a column a distance: the mean KL of the trained weights.

    Where no swap moves a logit beyond rounding, that is said in place of a number.

    Args:
        swaps: The table `swaps`.
        stages: Which stages get a row.
    """
    trained = swaps[swaps["weights"] == "trained"]
    distances = sorted(trained["distance"].unique())
    found = {(row.stage, row.distance): row for row in trained.itertuples()}
    rows = [
        [plain(stage_label(stage)), *(_swap(found.get((stage, one))) for one in distances)]
        for stage in stages
    ]
    n = trained.groupby("distance")["n_prefixes"].first()
    rows.append(["prefixes", *(count(n[one]) for one in distances)])
    return table(["stage", *map(count, distances)], rows, align="l" + "r" * len(distances))


def _swap(row: Any) -> str:
    if row is None:
        return MISSING
    if row.max_abs_logit_difference <= row.bound:
        return "rounding"
    return with_ends(row.kl_nats, row.low, row.high, small)
