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


def _number(value: Any) -> str:
    return MISSING if pd.isna(value) else f"{value:.2f}"


def _common(number: Any) -> str:
    return MISSING if pd.isna(number) else str(int(number))


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
            _number(random["value"]), percent(of.loc[(alone, agreement), "null_mean"]),
            _number(of.loc[(alone, kappa), "null_mean"]),
            f"{_number(random['null_mean'])} "
            f"({ends(random['null_low'], random['null_high'], _number)})",
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


def labelings_table(labelings: pd.DataFrame) -> str:
    """The pooled count under both numberings that differ in more than all names at once."""
    mine = labelings[labelings["labels"].str.startswith("01")]
    rows = [
        [code(row.checkpoint), "as stored" if set(row.labels.split("/")) == {"01"}
         else "one layer's exchanged", count(row.n_tokens_tested), count(row.n_over_80_expert_0),
         count(row.n_over_80_expert_1)]
        for row in mine.itertuples()
    ]  # fmt: skip
    headers = ["checkpoint", "numbers of the experts", "tokens with 100 or more",
               "over 80% to expert 0", "over 80% to expert 1"]  # fmt: skip
    return table(headers, rows, align="llrrr")


def words_table(words: pd.DataFrame) -> str:
    """The article's words, its counts, and every run's."""
    runs = words.drop_duplicates("checkpoint")
    rows = []
    for word, some in words.groupby("word", sort=False):
        first, of = some.iloc[0], some.set_index("checkpoint")
        known = not pd.isna(first["article_count"])
        counted = (
            f"{percent(first['article_share'])} "
            f"({count(first['article_count'])}/{count(first['article_total'])})"
        )
        rows.append([
            code(str(word)), plain(str(first["article_expert"])), percent(first["article_printed"]),
            counted if known else MISSING,
            *(_our_word(of.loc[name]) for name in runs["checkpoint"]),
        ])  # fmt: skip
    headers = [
        "word",
        "expert",
        "printed",
        "its notebook",
        *(run(row) for row in runs.itertuples()),
    ]
    return table(headers, rows, align="llrr" + "r" * len(runs))


def _our_word(row: pd.Series) -> str:
    if pd.isna(row["share"]):
        return MISSING
    return f"{percent(row['share'])} ({count(row['count'])}/{count(row['n_decisions'])})"


def article_agreement_table(agreement: pd.DataFrame) -> str:
    """How much of the article's list is found again, by run and numbering."""
    rows = [
        [run(row), plain(row.numbering), count(row.n_words), count(row.n_over_80),
         percent(row.mean_share), percent(row.mean_load)]
        for row in agreement.itertuples()
    ]  # fmt: skip
    headers = ["run", "numbers of the experts", "words", "over 80%", "mean share", "mean load"]
    return table(headers, rows, align="llrrrr")


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


def story_structure_table(found: pd.DataFrame) -> str:
    """Where the two kinds of words go, and what random routers do with them."""
    rows = [
        [run(row), plain(row.layer), _common(row.common_expert), percent(row.story_share),
         percent(row.structure_share), percent(row.load), small(row.p), small(row.q),
         percent(row.random_router_abs_difference), percent(row.random_routers_as_far),
         small(row.q_random), count(row.n_story), count(row.n_structure)]
        for row in found.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "expert, common number", "story words to it", "structure to it",
               "all decisions", "p", "q", "random routers, apart on average",
               "random routers as far apart", "q beside them", "story words",
               "words of structure"]  # fmt: skip
    return table(headers, rows, align="lllrrrrrrrrrr")


def feelings_table(feelings: pd.DataFrame) -> str:
    """The permutation test and what random routers do."""
    rows = [
        [run(row), plain(row.layer), plain(row.matched_by), _common(row.common_expert),
         percent(row.feeling_share), percent(row.matched_share),
         with_ends(row.difference, row.low, row.high, percent),
         ends(row.null_low, row.null_high, percent), small(row.p), small(row.q),
         percent(row.random_routers_apart), percent(row.random_routers_as_far), count(row.n_words),
         count(row.n_others)]
        for row in feelings.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "matched by", "expert, common number", "feeling words to it",
               "matched words", "difference (95% by stories)",
               "difference under permutation (95%)", "p", "q", "random routers apart at 5%",
               "random routers as far apart", "feeling words", "others"]  # fmt: skip
    return table(headers, rows, align="llllrrrrrrrrrr")


def feeling_shares_table(shares: pd.DataFrame) -> str:
    """Where each feeling word goes in each stage's first run."""
    mine = shares[shares["checkpoint"].isin(main_runs(shares)["checkpoint"])]
    rows = []
    for _, some in mine.groupby(["checkpoint", "layer", "expert"], sort=False):
        one = some.iloc[0]
        cells = [
            f"{code(row.word)} {percent(row.share)} of {count(row.n_decisions)}"
            for row in some.sort_values("n_decisions", ascending=False).itertuples()
        ]
        rows.append([run(one), plain(one["layer"]), _common(one["common_expert"]),
                     ", ".join(cells)])  # fmt: skip
    return table(
        ["run", "layer", "expert, common number", "share of each word"], rows, align="llll"
    )


def load_table(load: pd.DataFrame) -> str:
    """The load of each expert."""
    rows = [
        [run(row), plain(row.layer), plain(str(row.expert)), _common(row.common_expert),
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
         small(row.largest_change), _number(row.cosine)]
        for row in origin.itertuples()
    ]  # fmt: skip
    headers = ["run", "layer", "does a gradient reach it?", "as initialised?",
               "largest change of a weight", "cosine with the first one"]  # fmt: skip
    return table(headers, rows, align="llllrr")


def pairs_table(agreement: pd.DataFrame) -> str:
    """Every two runs, layer by layer."""
    rows = [
        [code(row.checkpoint), code(row.other), plain(row.layer), _number(row.correlation),
         _number(row.null_mean), _number(row.null_high), small(row.p), small(row.q),
         count(row.n_tokens)]
        for row in agreement.itertuples()
    ]  # fmt: skip
    headers = ["run", "other run", "layer", "correlation after matching", "of permuted tokens",
               "their 95th percentile", "p", "q", "tokens"]  # fmt: skip
    return table(headers, rows, align="lllrrrrrr")
