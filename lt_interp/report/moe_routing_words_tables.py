"""Tables of words and of one run beside another, of the page on the routing of experts."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.labels import main_runs
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.moe_routing_tables import common_number, number, run
from lt_interp.report.numbers import MISSING, count, ends, percent, small, with_ends


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


def story_structure_table(found: pd.DataFrame) -> str:
    """Where the two kinds of words go, and what random routers do with them."""
    rows = [
        [run(row), plain(row.layer), common_number(row.common_expert), percent(row.story_share),
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
        [run(row), plain(row.layer), plain(row.matched_by), common_number(row.common_expert),
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
        rows.append([run(one), plain(one["layer"]), common_number(one["common_expert"]),
                     ", ".join(cells)])  # fmt: skip
    return table(
        ["run", "layer", "expert, common number", "share of each word"], rows, align="llll"
    )


def pairs_table(agreement: pd.DataFrame) -> str:
    """Every two runs, layer by layer."""
    rows = [
        [code(row.checkpoint), code(row.other), plain(row.layer), number(row.correlation),
         number(row.null_mean), number(row.null_high), small(row.p), small(row.q),
         count(row.n_tokens)]
        for row in agreement.itertuples()
    ]  # fmt: skip
    headers = ["run", "other run", "layer", "correlation after matching", "of permuted tokens",
               "their 95th percentile", "p", "q", "tokens"]  # fmt: skip
    return table(headers, rows, align="lllrrrrrr")
