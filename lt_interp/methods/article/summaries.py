"""From sums within stories to estimates with intervals: prompts answered, names after "named"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.result import make_table
from lt_interp.methods.statistics import story_bootstrap

RESPONSES = {
    "stage": str,
    "own_nats": float,
    "other_nats": float,
    "benefit_nats": float,
    "low": float,
    "high": float,
    "n_tokens": int,
    "n_stories": int,
}
NAMES_AFTER = {
    "stage": str,
    "probability": float,
    "low": float,
    "high": float,
    "n_tokens": int,
    "n_stories": int,
}
SETTINGS = {"stage": str, "recipe": str, "trained_on": str, "tokens_seen": int}


def responses(stories: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """What the true prompt is worth in each stage: loss after another's minus after its own."""
    rows = []
    for stage, table in stories.groupby("stage", sort=False):
        own, other = table["own_nats"].to_numpy(float), table["other_nats"].to_numpy(float)
        counts = table["n_tokens"].to_numpy(int)
        interval = story_bootstrap((other - own)[:, None], counts, seed=seed)
        rows.append({
            "stage": str(stage), "own_nats": float(own.sum() / counts.sum()),
            "other_nats": float(other.sum() / counts.sum()),
            "benefit_nats": float(interval.estimate[0]), "low": float(interval.low[0]),
            "high": float(interval.high[0]), "n_tokens": int(counts.sum()),
            "n_stories": interval.n_stories,
        })  # fmt: skip
    return make_table(RESPONSES, rows)


def names_after(stories: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """The mean probability of a name after "named" in each stage."""
    rows = []
    for stage, table in stories.groupby("stage", sort=False):
        counts = table["n_tokens"].to_numpy(int)
        totals = table[["probability_of_a_name"]].to_numpy(float)
        interval = story_bootstrap(totals, counts, seed=seed)
        rows.append({
            "stage": str(stage), "probability": float(interval.estimate[0]),
            "low": float(interval.low[0]), "high": float(interval.high[0]),
            "n_tokens": int(counts.sum()), "n_stories": interval.n_stories,
        })  # fmt: skip
    return make_table(NAMES_AFTER, rows)


def settings(main: Mapping[str, Checkpoint]) -> pd.DataFrame:
    """How each stage was trained, as its card says; missing for a model in memory."""
    return make_table(SETTINGS, [_setting(stage, one.card) for stage, one in main.items()])


def _setting(stage: str, card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stage": stage, "recipe": card.get("recipe"), "trained_on": card["corpus"].get("sha256"),
        "tokens_seen": card.get("tokens_seen"),
    }  # fmt: skip
