"""The models beside each other and beside the article, once their experts have common numbers."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.alignment import align
from lt_interp.methods.moe_routing.article_words import article_counts
from lt_interp.methods.moe_routing.by_token import RULE
from lt_interp.methods.result import make_table
from lt_interp.methods.significance import with_q
from lt_interp.methods.study import MODEL_COLUMNS

SHARES = {"layer": str, "token_id": int, "expert": int, "share": float}
AGREEMENT = {
    "checkpoint": str, "stage": str, "other": str, "other_stage": str, "layer": str, "labels": str,
    "correlation": float, "null_mean": float, "null_high": float, "p": float,
    "n_tokens": int, "reason": str,
}  # fmt: skip
ARTICLE_WORDS = {
    **MODEL_COLUMNS, "word": str, "article_expert": int, "article_count": int,
    "article_total": int, "article_share": float, "article_printed": float, "token_id": int,
    "n_decisions": int, "count": int, "share": float, "low": float, "high": float,
    "over_80": bool, "load": float, "labels": str, "n_stories": int, "reason": str,
}  # fmt: skip
ARTICLE_AGREEMENT = {
    **MODEL_COLUMNS, "numbering": str, "labels": str, "mean_share": float, "mean_load": float,
    "n_over_80": int, "n_words": int, "fitted": bool,
}  # fmt: skip

UNMATCHED = "fewer than 3 tokens, or one of the two sends every token alike"
ALIGNED, BEST = "aligned across models", "best for the article"


def agreement(shares: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Every pair of models, layer by layer, at the best matching of their experts.

    `labels` are the numbers of the first model for the second one's experts 0, 1, ...; `q` is
    Benjamini-Hochberg's over all pairs and layers. Where nothing can be matched a `reason` says so,
    and the labels are those that are stored.

    Args:
        shares: Share of each token and expert by model and layer.
        seed: Of the permutations.
    """
    stages = dict(zip(shares["checkpoint"], shares["stage"]))
    rows: list[dict[str, Any]] = []
    for first, other in combinations(stages, 2):
        for layer in shares["layer"].unique():
            a, b = (_matrix(shares, name, layer) for name in (first, other))
            both = a.index.intersection(b.index)
            if not len(both) or a.shape[1] != b.shape[1]:
                continue
            found = align(a.loc[both].to_numpy(), b.loc[both].to_numpy(), seed=seed)
            pair = {"checkpoint": first, "stage": stages[first], "other": other,
                    "other_stage": stages[other], "layer": layer}  # fmt: skip
            if found is None:
                labels = "".join(map(str, range(a.shape[1])))
                rows.append({**pair, "labels": labels, "n_tokens": len(both),
                             "reason": UNMATCHED})  # fmt: skip
            else:
                rows.append({
                    **pair, "labels": "".join(map(str, found.labels)),
                    "correlation": found.correlation,
                    "null_mean": found.null_mean, "null_high": found.null_high, "p": found.p,
                    "n_tokens": found.n_tokens,
                })  # fmt: skip
    return with_q(make_table(AGREEMENT, rows))


def _matrix(shares: pd.DataFrame, checkpoint: str, layer: str) -> pd.DataFrame:
    """Tokens by experts."""
    some = shares[(shares["checkpoint"] == checkpoint) & (shares["layer"] == layer)]
    return some.pivot(index="token_id", columns="expert", values="share")


def common_labels(counts: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, str]:
    """The numbering of every model that the comparison with the article uses.

    The first model's experts are numbered so that the article's words go to the article's expert
    as much as they can, which favours the article; all others are matched to the first model by
    what their experts do. A layer that cannot be matched keeps the numbers of the first model, and
    one matched no better than chance has numbers that mean nothing: `pairs` tells both.

    Args:
        counts: The words of the article under every numbering.
        pairs: The table `agreement`.
    """
    names = list(counts["checkpoint"].unique())
    if not names:
        return {}
    best = _scores(counts[counts["checkpoint"] == names[0]])
    first = str(best["mean_share"].idxmax()).split("/")
    labels = {names[0]: "/".join(first)}
    for name in names[1:]:
        found = pairs[(pairs["checkpoint"] == names[0]) & (pairs["other"] == name)]
        matched = dict(zip(found["layer"], found["labels"]))
        labels[name] = "/".join(
            "".join(own[int(expert)] for expert in matched.get(str(layer), "01"))
            for layer, own in enumerate(first)
        )
    return labels


def _scores(counts: pd.DataFrame) -> pd.DataFrame:
    """What one model makes of the article's words under every numbering."""
    expert = {one["word"]: one["article_expert"] for one in article_counts()}
    to_1 = counts["word"].map(expert).to_numpy() == 1
    share = np.where(to_1, counts["share_1"], 1 - counts["share_1"])
    load = np.where(to_1, counts["load_1"], 1 - counts["load_1"])
    frame = counts.assign(share=share, load=load, over=share > RULE)
    return frame.groupby("labels", sort=True).agg(
        mean_share=("share", "mean"), mean_load=("load", "mean"), n_over_80=("over", "sum"),
        n_words=("share", "size"),
    )  # fmt: skip


def article_agreement(counts: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """Do the article's words go to one expert here too? With common numbers and at the very best.

    `fitted` marks a numbering that was chosen by these very words, which are then no evidence.

    Args:
        counts: The words under every numbering.
        labels: The common numbering of every model.
    """
    rows = []
    runs = counts.groupby(list(MODEL_COLUMNS), sort=False, dropna=False)
    for place, ((name, stage, train_seed), some) in enumerate(runs):
        scores = _scores(some)
        for numbering, chosen in ((ALIGNED, labels[name]), (BEST, scores["mean_share"].idxmax())):
            values = scores.loc[chosen]
            rows.append({
                "checkpoint": name, "stage": stage, "train_seed": _number(train_seed),
                "numbering": numbering, "labels": chosen, "mean_share": float(values["mean_share"]),
                "mean_load": float(values["mean_load"]), "n_over_80": int(values["n_over_80"]),
                "n_words": int(values["n_words"]), "fitted": numbering == BEST or place == 0,
            })  # fmt: skip
    return make_table(ARTICLE_AGREEMENT, rows)


def article_words(
    models: list[dict[str, Any]], counts: pd.DataFrame, labels: dict[str, str]
) -> pd.DataFrame:
    """Each word of the article, its counts beside ours.

    Args:
        models: `checkpoint`, `stage` and `train_seed` of every model with experts.
        counts: The words under every numbering.
        labels: The common numbering of every model.
    """
    rows = []
    for model in models:
        name = model["checkpoint"]
        mine = counts[(counts["checkpoint"] == name) & (counts["labels"] == labels.get(name))]
        found = mine.set_index("word")
        for one in article_counts():
            row = {**model, **one}
            if one["word"] in found.index:
                rows.append({**row, "labels": labels[name], **_ours(found.loc[one["word"]], one)})
            else:
                rows.append({**row, "reason": "is no token here, or does not occur"})
    return make_table(ARTICLE_WORDS, rows)


def _ours(word: pd.Series, one: dict[str, Any]) -> dict[str, Any]:
    """Our counts, for the expert to which the article gives the word."""
    to_1 = one["article_expert"] == 1
    ends = (word["low_1"], word["high_1"]) if to_1 else (1 - word["high_1"], 1 - word["low_1"])
    share = word["share_1"] if to_1 else 1 - word["share_1"]
    n = int(word["n_decisions"])
    return {
        "token_id": int(word["token_id"]), "n_decisions": n,
        "count": int(word["count_1"]) if to_1 else n - int(word["count_1"]), "share": float(share),
        "low": float(ends[0]), "high": float(ends[1]), "over_80": bool(share > RULE),
        "load": float(word["load_1"] if to_1 else 1 - word["load_1"]),
        "n_stories": int(word["n_stories"]),
    }  # fmt: skip


def _number(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def share_rows(
    layer: str, ids: Int[np.ndarray, " token"], shares: Float[np.ndarray, "token expert"]
) -> list[dict[str, Any]]:
    """Shares as rows, for the comparison of models."""
    return [
        {"layer": layer, "token_id": int(i), "expert": expert, "share": float(share)}
        for i, of_token in zip(ids, shares)
        for expert, share in enumerate(of_token)
    ]
