"""What each part buys: neighbouring stages compared on the same tokens, class by class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int

from lt_interp.methods.article.groups import ALL, GROUPS, LAST
from lt_interp.methods.result import make_table
from lt_interp.methods.significance import false_discovery_q, sign_flip_p
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.stages import STAGES

CLASS_GAINS = {
    "stage": str,
    "previous": str,
    "by": str,
    "class": str,
    "difference_nats": float,
    "low": float,
    "high": float,
    "p": float,
    "q": float,
    "n_tokens": int,
    "n_stories": int,
}


def neighbours(stages: list[str]) -> list[tuple[str, str]]:
    """Each stage with the one it grew from, where both were measured."""
    return [
        (stage.id, stage.grows_from)
        for stage in STAGES.values()
        if stage.grows_from and {stage.id, stage.grows_from} <= set(stages)
    ]


def class_gains(losses: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Paired differences of the loss, later stage minus earlier, with intervals and tests.

    Args:
        losses: Sums within each story, by `stage`, `by` and `class`; one model a stage.
        seed: Of the resampling and of the sign flips.

    Returns:
        A row for every pair of neighbours and class with a token. `low` and `high` resample
        stories. `p` is a sign-flip permutation test by story of "no difference", `q` its
        Benjamini-Hochberg value over every row of the table.
    """
    pairs = neighbours(list(losses["stage"].unique()))
    rows = [
        row
        for by, names in {**GROUPS, LAST: GROUPS[ALL]}.items()
        for name in names
        for row in _compare(losses[(losses["by"] == by) & (losses["class"] == name)], pairs, seed)
    ]
    order = {pair: place for place, pair in enumerate(pairs)}
    rows.sort(key=lambda row: order[row["stage"], row["previous"]])
    q = false_discovery_q(np.array([row["p"] for row in rows], dtype=float))
    return make_table(CLASS_GAINS, [{**row, "q": float(q[n])} for n, row in enumerate(rows)])


def _compare(
    losses: pd.DataFrame, pairs: list[tuple[str, str]], seed: int
) -> Iterator[dict[str, Any]]:
    """All pairs of neighbours that were both scored on the tokens of one class."""
    totals, counts = _by_story(losses)
    pairs = [pair for pair in pairs if set(pair) <= set(totals)]
    if not pairs:
        return
    differences = np.stack([totals[now] - totals[before] for now, before in pairs], axis=1)
    interval = story_bootstrap(differences, counts, seed=seed)
    p = sign_flip_p(differences, seed=seed)
    by, name = losses["by"].iloc[0], losses["class"].iloc[0]
    for place, (now, before) in enumerate(pairs):
        yield {
            "stage": now, "previous": before, "by": by, "class": name,
            "difference_nats": float(interval.estimate[place]),
            "low": float(interval.low[place]), "high": float(interval.high[place]),
            "p": float(p[place]), "n_tokens": int(counts.sum()), "n_stories": interval.n_stories,
        }  # fmt: skip


def _by_story(
    losses: pd.DataFrame,
) -> tuple[dict[str, Float64[np.ndarray, " story"]], Int[np.ndarray, " story"]]:
    """Each stage's sums in one order of stories, and the tokens of each story."""
    sums = losses.pivot(index="story", columns="stage", values="loss_nats")
    counts = losses.drop_duplicates("story").set_index("story")["n_tokens"].loc[sums.index]
    totals = {str(stage): sums[stage].to_numpy(float) for stage in sums}
    return totals, counts.to_numpy(np.int64)
