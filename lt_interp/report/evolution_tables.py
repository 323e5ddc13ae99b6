"""The tables of the evolution page, as markdown."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.labels import main_runs, other_runs, stage_label, step_name
from lt_interp.report.markdown import code, plain, short_sample, table
from lt_interp.report.numbers import (
    MISSING,
    count,
    ends,
    millions,
    nats,
    perplexity,
    published,
)
from lt_interp.report.text import is_higher, is_lower

# In the order in which data flows through them; any other component comes last, by name.
_COMPONENTS = (
    "token embedding", "position embedding", "attention", "feed-forward", "experts", "router",
    "LayerNorm", "unembedding",
)  # fmt: skip
_ARTICLES = ("the article's", "the article's said")


def ladder_table(ladder: pd.DataFrame, samples: pd.DataFrame) -> str:
    """The article's "Full Evolution" with our figures and samples beside its own."""
    headers = [
        "stage", "step", "what is added", "perplexity", "95% interval", "the article's",
        "last token only", "tokens seen", "our model said", "the article's said",
    ]  # fmt: skip
    rows = []
    for row in main_runs(ladder).itertuples():
        ours, article = _evolution_sample(samples, row.stage)
        rows.append(
            [
                code(row.stage), plain(step_name(row.stage)), plain(row.adds or MISSING),
                f"**{perplexity(row.perplexity)}**",
                ends(row.perplexity_low, row.perplexity_high),
                published(row.article_perplexity) + scored_mark(row.article_scored_on),
                perplexity(row.perplexity_last_token), millions(row.tokens_seen), ours, article,
            ]
        )  # fmt: skip
    return _table_of_known(headers, rows, align="lllrrrrrll")


def _table_of_known(headers: list[str], rows: list[list[str]], *, align: str) -> str:
    """A table without the article's columns where it says nothing of any stage."""
    places = [
        place
        for place, header in enumerate(headers)
        if header not in _ARTICLES or any(row[place] != MISSING for row in rows)
    ]
    headers, *rows = ([line[place] for place in places] for line in (headers, *rows))
    return table(headers, rows, align="".join(align[place] for place in places))


def scored_mark(scored_on: object) -> str:
    """A mark at the figures that the article measured on the last token of each row."""
    return "\\*" if isinstance(scored_on, str) and scored_on.startswith("last token") else ""


def _evolution_sample(samples: pd.DataFrame, stage: str) -> tuple[str, str]:
    """Our sample and the article's for its own prompt, cut to the width of the table."""
    if not len(samples):
        return MISSING, MISSING
    own = samples[samples["stage"] == stage]
    own = pd.concat([own[own["article_sample"].notna()], own])
    if not len(own):
        return MISSING, MISSING
    return short_sample(own["sample"].iloc[0]), short_sample(own["article_sample"].iloc[0])


def seeds_table(ladder: pd.DataFrame) -> str:
    """Further seeds of stages that were trained more than once, each under its first."""
    repeated = ladder[ladder["stage"].isin(other_runs(ladder)["stage"])]
    rows = [
        [
            plain(stage_label(row.stage)), _seed(row.seed), perplexity(row.perplexity),
            ends(row.perplexity_low, row.perplexity_high), millions(row.tokens_seen),
        ]
        for row in repeated.sort_values("stage", kind="stable").itertuples()
    ]  # fmt: skip
    headers = ["stage", "seed", "perplexity", "95% interval", "tokens seen"]
    return table(headers, rows, align="lrrrr")


def _seed(value: object) -> str:
    """A seed; a dash where it is not on record, as of a converted checkpoint."""
    return MISSING if pd.isna(value) else plain(str(value))


def pairs_table(pairs: pd.DataFrame) -> str:
    """Paired differences with their intervals."""
    rows = [
        [
            plain(stage_label(pair.stage)), plain(stage_label(pair.previous)),
            nats(pair.difference_nats), f"[{nats(pair.low)}, {nats(pair.high)}]",
            "lower" if is_lower(pair) else "higher" if is_higher(pair) else "not distinguishable",
            count(pair.n_stories),
        ]
        for pair in pairs.itertuples()
    ]  # fmt: skip
    headers = ["stage", "against", "difference (nats)", "95% interval", "loss is", "stories"]
    return table(headers, rows, align="llrrlr")


def points_table(points: pd.DataFrame) -> str:
    """The published points of one stage that our run reaches, and where it stood by then."""
    rows = [
        [
            count(point.step), millions(point.tokens_seen), published(point.perplexity),
            perplexity(point.our_perplexity), millions(point.our_tokens_seen),
            "yes" if point.our_perplexity < point.perplexity else "no",
        ]
        for point in points.dropna(subset=["our_perplexity"]).itertuples()
    ]  # fmt: skip
    headers = ["the article's step", "tokens seen", "its perplexity", "ours", "ours, validated at",
               "ours below?"]  # fmt: skip
    return table(headers, rows, align="rrrrrl")


def samples_table(samples: pd.DataFrame) -> str:
    """Every sample at full length."""
    rows = [
        [
            plain(stage_label(row.stage)), code(row.prompt), code(row.sample),
            MISSING if pd.isna(row.article_sample) else code(row.article_sample),
        ]
        for row in samples.itertuples()
    ]  # fmt: skip
    headers = ["stage", "prompt", "our model said", "the article's said"]
    return _table_of_known(headers, rows, align="llll")


def parameters_table(parameters: pd.DataFrame, ladder: pd.DataFrame) -> str:
    """Parameters by component, their sum, and the article's total."""
    components = sorted(parameters["component"].unique(), key=_component_order)
    by_stage = parameters.groupby(["stage", "component"])["parameters"].sum()
    rows = []
    for row in main_runs(ladder).itertuples():
        counts = [by_stage.get((row.stage, component)) for component in components]
        rows.append(
            [plain(stage_label(row.stage)), *(count(value) for value in counts),
             count(row.parameters), count(row.article_parameters)]
        )  # fmt: skip
    headers = ["stage", *(plain(component) for component in components), "total", "the article's"]
    return _table_of_known(headers, rows, align="l" + "r" * (len(headers) - 1))


def _component_order(component: str) -> tuple[int, str]:
    known = component in _COMPONENTS
    return (_COMPONENTS.index(component) if known else len(_COMPONENTS)), component
