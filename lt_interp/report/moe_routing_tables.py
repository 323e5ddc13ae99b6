"""The tables of the page on the routing of experts, as markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from lt_interp.figures.labels import main_runs
from lt_interp.figures.moe_routing import run_label
from lt_interp.methods.routing_names import (
    POOLED,
    RANDOM,
    SHUFFLED,
    TOKEN_ALONE,
    UNTRAINED,
    WITHOUT_CONTEXT,
)
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MISSING, count, ends, nats, percent, small, with_ends

TOP_TOKENS = 8


def run(row: Any) -> str:
    """The run of a table's row."""
    return plain(run_label(row.stage, row.train_seed))


def number(value: Any) -> str:
    """A coefficient, with two decimals."""
    return MISSING if pd.isna(value) else f"{value:.2f}"


def common_number(expert: Any) -> str:
    """The number that an expert shares with those of other runs, if it has one."""
    return MISSING if pd.isna(expert) else str(int(expert))


def nulls_table(nulls: pd.DataFrame, statistic: str, form: Callable[[Any], str]) -> str:
    """One statistic of every set of decisions beside every null model.

    Args:
        nulls: The table `nulls`.
        statistic: Which one.
        form: How its values are written.
    """
    mine = nulls[nulls["statistic"] == statistic]
    rows = []
    for _, some in mine.groupby(["checkpoint", "layer"], sort=False):
        of = some.set_index("null")
        first, random, fresh = some.iloc[0], of.loc[RANDOM], of.loc[UNTRAINED]
        rows.append([
            run(first), plain(first["layer"]),
            with_ends(first["value"], first["low"], first["high"], form),
            with_ends(random["null_mean"], random["null_low"], random["null_high"], form),
            small(random["p"]),
            with_ends(fresh["null_mean"], fresh["null_low"], fresh["null_high"], form),
            form(of.loc[WITHOUT_CONTEXT, "null_mean"]), form(of.loc[SHUFFLED, "null_mean"]),
        ])  # fmt: skip
    headers = ["run", "layer", "its own router", "random routers (95%)", "p",
               "untrained stage, random routers (95%)", "own router, embeddings alone",
               "experts shuffled"]  # fmt: skip
    return table(headers, rows, align="llrrrrrr")


def agreement_with_embeddings_table(nulls: pd.DataFrame, agreement: str, kappa: str) -> str:
    """How many decisions the embeddings alone would give too."""
    mine = nulls[nulls["statistic"].isin([agreement, kappa])]
    rows = []
    for _, some in mine.groupby(["checkpoint", "layer"], sort=False):
        of, first = some.set_index(["null", "statistic"]), some.iloc[0]
        random, alone = of.loc[(RANDOM, kappa)], TOKEN_ALONE
        rows.append([
            run(first), plain(first["layer"]), percent(of.loc[(RANDOM, agreement), "value"]),
            number(random["value"]), percent(of.loc[(alone, agreement), "null_mean"]),
            number(of.loc[(alone, kappa), "null_mean"]),
            f"{number(random['null_mean'])} "
            f"({ends(random['null_low'], random['null_high'], number)})",
        ])  # fmt: skip
    headers = ["run", "layer", "token and position", "kappa", "token", "kappa",
               "kappa of random routers, token and position (95%)"]  # fmt: skip
    return table(headers, rows, align="llrrrrr")


def counts_table(counts: pd.DataFrame) -> str:
    """What each rule names."""
    rows = [
        [run(row), plain(row.layer), count(row.n_decisions), count(row.n_tokens_tested),
         count(row.n_over_80), percent(row.share_of_decisions_over_80), count(row.n_discoveries),
         count(row.n_over_80_not_discovered)]
        for row in counts.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "decisions", "tokens with 100 or more", "over 80%",
               "their share of decisions", "discoveries", "over 80%, not discovered"]  # fmt: skip
    return table(headers, rows, align="llrrrrrr")


def tokens_table(tokens: pd.DataFrame) -> str:
    """The most frequent tokens over 80%, of each stage's first run, by layer and expert."""
    first = main_runs(tokens)["checkpoint"]
    mine = tokens[tokens["checkpoint"].isin(first) & tokens["over_80"]]
    mine = mine[mine["layer"] != POOLED]
    rows = []
    for _, some in mine.groupby(["checkpoint", "layer", "expert"], sort=False):
        top = some.nlargest(TOP_TOKENS, "n_decisions")
        cells = [f"{code(row.token)} {percent(row.share)}" for row in top.itertuples()]
        one = some.iloc[0]
        rows.append([run(one), plain(one["layer"]), plain(str(one["expert"])), count(len(some)),
                     ", ".join(cells)])  # fmt: skip
    return table(["run", "layer", "expert as stored", "tokens over 80%", "the most frequent"], rows,
                 align="lllrl")  # fmt: skip


def information_table(information: pd.DataFrame) -> str:
    """Every quantity, in nats and bits and as share of the expert's entropy."""
    rows = [
        [run(row), plain(row.layer), plain(row.quantity), f"{row.value_nats:.4f}",
         MISSING if pd.isna(row.null_mean) else f"{row.null_mean:.4f}",
         MISSING if pd.isna(row.corrected) else f"{row.corrected:.4f}",
         ends(row.low, row.high, lambda value: f"{value:.4f}"),
         MISSING if pd.isna(row.corrected) else f"{row.corrected / math.log(2):.4f}",
         percent(row.corrected_share_of_entropy), small(row.p)]
        for row in information.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "quantity", "nats", "stories exchanged", "corrected nats",
               "95% by stories", "corrected bits", "share of entropy", "p"]  # fmt: skip
    return table(headers, rows, align="lllrrrrrrr")


def causal_table(causal: pd.DataFrame) -> str:
    """Every intervention over all tokens."""
    mine = causal[causal["token_class"] == "all"]
    rows = [
        [run(row), plain(row.layer), plain(row.intervention), nats(row.loss_change_nats),
         ends(row.low, row.high, nats), count(row.n_tokens), count(row.n_stories)]
        for row in mine.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "tokens", "change of the loss, nats", "95%", "n", "stories"]
    return table(headers, rows, align="lllrrrr")


def load_table(load: pd.DataFrame) -> str:
    """The load of each expert."""
    rows = [
        [run(row), plain(row.layer), plain(str(row.expert)), common_number(row.common_expert),
         percent(row.share), ends(row.low, row.high, percent), count(row.n_decisions),
         count(row.n_stories)]
        for row in load.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "expert as stored", "common number", "load", "95%", "decisions",
               "stories"]  # fmt: skip
    return table(headers, rows, align="llllrrrr")


def repetition_table(repetition: pd.DataFrame) -> str:
    """How often neighbours share an expert."""
    rows = [
        [run(row), plain(row.layer), percent(row.repeated_share), ends(row.low, row.high, percent),
         percent(row.chance_sum_p_squared), percent(row.expected_from_tokens), count(row.n_pairs)]
        for row in repetition.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "same expert as the token before", "95%", "chance (sum of p²)",
               "expected from the two tokens", "pairs"]  # fmt: skip
    return table(headers, rows, align="llrrrrr")


def margin_table(margin: pd.DataFrame) -> str:
    """How clearly routers decide."""
    rows = [
        [run(row), plain(row.layer), plain(row.quantity.replace("_", " ")), f"{row.value:.3f}",
         ends(row.low, row.high, lambda value: f"{value:.3f}"), count(row.n_decisions)]
        for row in margin.itertuples()
    ]  # fmt: skip
    return table(["run", "layer", "quantity", "mean", "95%", "decisions"], rows, align="lllrrr")


def origin_table(origin: pd.DataFrame) -> str:
    """Every router beside the one its run began with."""
    rows = [
        [run(row), plain(row.layer), "yes" if row.gradient_reaches else "no",
         MISSING if pd.isna(row.as_initialised) else "yes" if row.as_initialised else "no",
         small(row.largest_change), number(row.cosine)]
        for row in origin.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "does a gradient reach it?", "as initialised?",
               "largest change of a weight", "cosine with the first one"]  # fmt: skip
    return table(headers, rows, align="llllrr")
