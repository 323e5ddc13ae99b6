"""What a head is, in words: the places that take most of its attention."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.methods.result import make_table
from lt_interp.methods.significance import FDR
from lt_interp.methods.study import MODEL_COLUMNS

# A share of attention; each has one key a query.
PLACES = ("current", "previous", "first", "induction", "duplicate")
MOSTLY = 0.5  # of a query's attention, on average
PARTLY = 0.2
NEAR = 0.5  # on the last 8 tokens

_ENDS = ("value", "low", "high")

HEADS = {
    **MODEL_COLUMNS,
    "layer": int,
    "head": int,
    "kind": str,
    "places": str,
    "strongest": str,
    "value": float,
    "low": float,
    "high": float,
    "last_8": float,
    "mean_distance_tokens": float,
    "entropy_nats": float,
    "entropy_maximum_nats": float,
}


def head_kinds(head_scores: pd.DataFrame) -> pd.DataFrame:
    """Name every head by the places with more attention than uniform (q < 0.05).

    `kind` is `"mostly"` where a place has half of the attention or more, `"partly"` where it has a
    fifth or more, else `"near"` where the last 8 tokens together have half, else `"spread"`.
    `places` lists the places of that size, the largest first, separated by commas; `strongest` is
    the largest place whatever its size, with its `value`.

    Args:
        head_scores: With `q`.
    """
    keys = [*MODEL_COLUMNS, "layer", "head"]
    rows = []
    for names, scores in head_scores.groupby(keys, sort=False, dropna=False):
        about = {key: None if pd.isna(name) else name for key, name in zip(keys, names)}
        rows.append({**about, **_kind(scores)})
    return make_table(HEADS, rows)


def _kind(scores: pd.DataFrame) -> dict[str, Any]:
    by_score = scores.set_index("score")
    value = by_score["value"]
    places = by_score.loc[list(PLACES)].sort_values("value", ascending=False, kind="stable")
    certain = places["q"] < FDR
    above = places[certain & (places["difference_from_uniform"] > 0)]
    kind, found = "near" if value["last_8"] >= NEAR else "spread", above.iloc[:0]
    if (above["value"] >= PARTLY).any():
        kind = "mostly" if (above["value"] >= MOSTLY).any() else "partly"
        found = above[above["value"] >= (MOSTLY if kind == "mostly" else PARTLY)]
    top = (found if len(found) else places).iloc[0]
    return {
        "kind": kind,
        "places": ",".join(found.index),
        "strongest": str(top.name),
        **{column: None if pd.isna(top[column]) else top[column] for column in _ENDS},
        "last_8": value["last_8"],
        "mean_distance_tokens": value["mean_distance_tokens"],
        "entropy_nats": value["entropy_nats"],
        "entropy_maximum_nats": by_score.loc["entropy_nats", "uniform"],
    }
