"""What needs the tables of all models: false discoveries, common numbers, the article."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.moe_routing import across_models
from lt_interp.methods.moe_routing.by_token import discoveries
from lt_interp.methods.moe_routing.common_numbers import with_common_experts
from lt_interp.methods.moe_routing.nulls import with_null_q
from lt_interp.methods.result import make_table
from lt_interp.methods.significance import false_discovery_q, with_q
from lt_interp.methods.study import MODEL_COLUMNS

LONG = ("nulls", "causal", "article_words", "feeling_shares")  # tables of a thousand rows
BESIDE_RANDOM = ("feeling_words", "story_structure")  # differences that random routers have too
NUMBERED = ("load", "tokens", "causal", "feeling_words", "feeling_shares", "story_structure")
COUNTS = {
    **MODEL_COLUMNS, "layer": str, "n_tokens_tested": int, "n_over_80": int,
    "n_discoveries": int, "n_over_80_not_discovered": int, "share_of_decisions_over_80": float,
    "share_of_decisions_tested": float, "n_decisions": int,
}  # fmt: skip


def compared(found: dict[str, pd.DataFrame], *, seed: int) -> dict[str, pd.DataFrame]:
    """The tables of the analysis from those of every model by itself.

    Args:
        found: Of `Study.each`.
        seed: Of the permutations that runs are matched by.
    """
    tables = {key: value for key, value in found.items()
              if key not in ("shares", "word_counts", "gradient")}  # fmt: skip
    tables["tokens"] = discoveries(found["tokens"])
    tables["counts"] = _counts(tables["tokens"], found["load"])
    for name in BESIDE_RANDOM:
        tables[name] = with_random_q(with_q(found[name]))
    tables["agreement"] = across_models.agreement(found["shares"], seed=seed)
    labels = across_models.common_labels(found["word_counts"], tables["agreement"])
    applies = found["applies"][found["applies"]["applies"]]
    models = [
        {"checkpoint": row.checkpoint, "stage": row.stage,
         "train_seed": None if pd.isna(row.train_seed) else int(row.train_seed)}
        for row in applies.itertuples()
    ]  # fmt: skip
    for name in NUMBERED:
        tables[name] = with_common_experts(tables[name], labels)
    tables["nulls"] = with_null_q(tables["nulls"])
    tables["article_words"] = across_models.article_words(models, found["word_counts"], labels)
    tables["article_agreement"] = across_models.article_agreement(found["word_counts"], labels)
    return {**tables, **{name: _shortened(tables[name]) for name in LONG}}


def with_random_q(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `q_random`, of no farther apart than with random routers.

    Their share counts the trained one too, so that no p value is 0 (Phipson and Smyth 2010,
    doi:10.2202/1544-6115.1585).
    """
    draws = table["n_draws"].to_numpy(float)
    p = (table["random_routers_as_far"].to_numpy(float) * draws + 1) / (draws + 1)
    return table.assign(q_random=false_discovery_q(p))


def _shortened(table: pd.DataFrame) -> pd.DataFrame:
    """Fractions to six figures."""
    fractions = table.select_dtypes("float64")
    return table.assign(
        **{name: fractions[name].map(lambda x: float(f"{x:.6g}")) for name in fractions}
    )


def _counts(tokens: pd.DataFrame, loads: pd.DataFrame) -> pd.DataFrame:
    """How many tokens each rule names."""
    rows = []
    keys = [*MODEL_COLUMNS, "layer"]
    for key, some in tokens.groupby(keys, sort=False, dropna=False):
        about = dict(zip(keys, key))
        about["train_seed"] = None if pd.isna(about["train_seed"]) else int(about["train_seed"])
        same = (loads["checkpoint"] == about["checkpoint"]) & (loads["layer"] == about["layer"])
        n, over = int(loads.loc[same, "n_decisions"].iloc[0]), some[some["over_80"]]
        rows.append({
            **about, "n_tokens_tested": len(some), "n_over_80": len(over),
            "n_discoveries": int(some["discovery"].sum()),
            "n_over_80_not_discovered": int((~over["discovery"]).sum()),
            "share_of_decisions_over_80": float(over["n_decisions"].sum() / n),
            "share_of_decisions_tested": float(some["n_decisions"].sum() / n), "n_decisions": n,
        })  # fmt: skip
    return make_table(COUNTS, rows)
