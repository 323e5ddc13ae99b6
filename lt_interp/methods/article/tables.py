"""The article's tables with our figures in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lt_interp.article import article, article_stage
from lt_interp.methods.article.saved import Saved
from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.parameters import count, weight_shapes
from lt_interp.methods.result import make_table

EVERY_POSITION, LAST_TOKEN = "every position", "last token of each row"

EVOLUTION = {
    "stage": str,
    "adds": str,
    "article_perplexity": float,
    "perplexity": float,
    "low": float,
    "high": float,
    "scored_on": str,
    "n_stories": int,
    "article_sample": str,
    "sample": str,
    "reason": str,
}
SEEDS = {
    "stage": str,
    "n_seeds": int,
    "lowest_loss_nats": float,
    "highest_loss_nats": float,
    "spread_nats": float,
}
PARAMETERS = {"stage": str, "article_parameters": int, "parameters": int}


def evolution_table(saved: Saved, main: Mapping[str, Checkpoint]) -> pd.DataFrame:
    """The "Full Evolution": perplexity by the article's rule for each stage, and what was said.

    The article scores its first two stages on the last token of each row only; so does ours here.
    """
    try:
        ladder, samples, reason = _ladder(saved), _samples(saved), None
    except NotMeasured as why:
        ladder, samples, reason = {}, {}, str(why)
    rows = [
        {
            "stage": stage, "adds": checkpoint.adds,
            "article_perplexity": article_stage(stage).get("perplexity"),
            "scored_on": article_stage(stage).get("scored_on", EVERY_POSITION),
            "article_sample": article()["evolution_samples"].get(stage),
            "sample": samples.get(stage), **_perplexity(stage, ladder, reason),
        }
        for stage, checkpoint in main.items()
    ]  # fmt: skip
    return make_table(EVOLUTION, rows)


def _ladder(saved: Saved) -> dict[str, dict[str, Any]]:
    """The first row of every stage, which is that of its lowest seed."""
    columns = ["stage", "n_stories"]
    for name in ("perplexity", "perplexity_last_token"):
        columns += [name, f"{name}_low", f"{name}_high"]
    table = saved.table("evolution", "ladder", columns).drop_duplicates("stage")
    return {str(row["stage"]): row for row in table.to_dict("records")}


def _samples(saved: Saved) -> dict[str, str]:
    table = saved.table("evolution", "samples", ("stage", "prompt", "sample"))
    table = table[table["prompt"] == article()["prompts"][0]].drop_duplicates("stage")
    return dict(zip(table["stage"], table["sample"], strict=True))


def _perplexity(
    stage: str, ladder: Mapping[str, dict[str, Any]], reason: str | None
) -> dict[str, Any]:
    if stage not in ladder:
        return {"reason": reason or "not measured: the saved evolution lacks this stage"}
    last = article_stage(stage).get("scored_on") == LAST_TOKEN
    name = "perplexity_last_token" if last else "perplexity"
    row = ladder[stage]
    low, high = (None if pd.isna(row[f"{name}_{end}"]) else row[f"{name}_{end}"]
                 for end in ("low", "high"))  # fmt: skip
    return {"perplexity": row[name], "low": low, "high": high, "n_stories": row["n_stories"]}


def parameters_table(main: Mapping[str, Checkpoint]) -> pd.DataFrame:
    """Parameters counted from the weights beside the article's count."""
    rows = [
        {
            "stage": stage,
            "article_parameters": article_stage(stage).get("params"),
            "parameters": count(weight_shapes(checkpoint)),
        }
        for stage, checkpoint in main.items()
    ]
    return make_table(PARAMETERS, rows)


def seed_spread(saved: Saved) -> pd.DataFrame:
    """How far runs of one stage lie apart that differ in their seed only, so far as is on record.

    What is smaller than this between two stages may be no more than a difference of two runs.
    """
    try:
        ladder = saved.table("evolution", "ladder", ("stage", "seed", "loss_nats"))
    except NotMeasured:
        return make_table(SEEDS, [])
    rows = []
    for stage, runs in ladder.dropna(subset=["seed"]).groupby("stage", sort=False):
        if len(runs) > 1:
            low, high = float(runs["loss_nats"].min()), float(runs["loss_nats"].max())
            rows.append({
                "stage": str(stage), "n_seeds": len(runs), "lowest_loss_nats": low,
                "highest_loss_nats": high, "spread_nats": high - low,
            })  # fmt: skip
    return make_table(SEEDS, rows)
