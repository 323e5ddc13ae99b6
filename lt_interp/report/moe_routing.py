"""The page on the routing of experts: what they specialise in, and whether it means anything."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import moe_routing as overview
from lt_interp.figures import moe_routing_causal as causal
from lt_interp.figures import moe_routing_tokens as token_figure
from lt_interp.figures import moe_routing_words as words
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import AGREEMENT, KAPPA, N_DISCOVERIES, N_OVER, TOKEN_SHARE
from lt_interp.report import moe_routing_tables as tables
from lt_interp.report import moe_routing_text as text
from lt_interp.report import moe_routing_words_tables as words_tables
from lt_interp.report import moe_routing_words_text as words_text
from lt_interp.report.markdown import listing, plain
from lt_interp.report.moe_routing_causal_text import causal_sentence
from lt_interp.report.numbers import count, percent
from lt_interp.report.page import Drawing, Page

__all__ = ["MOE_ROUTING"]


def _drawings(result: Result) -> dict[str, Drawing]:
    """A figure for whatever was measured."""
    found: dict[str, Drawing] = {}
    if len(result.tables["nulls"]):
        found["specialisation.svg"] = Drawing(
            partial(overview.specialisation, result), overview.size(result), (1, 2)
        )
    if len(result.tables["tokens"]):
        found["tokens.svg"] = Drawing(
            partial(token_figure.token_shares, result),
            token_figure.size(result),
            token_figure.panels(result),
        )
    if len(result.tables["causal"]):
        found["other_expert.svg"] = Drawing(
            partial(causal.other_expert, result), causal.size(result), causal.panels(result)
        )
    if result.tables["article_words"]["share"].notna().any():
        found["article_words.svg"] = Drawing(
            partial(words.article_words, result), words.size(result)
        )
    return found


def _context(result: Result) -> dict[str, Any]:
    found = result.tables
    measured = bool(len(found["nulls"]))
    context: dict[str, Any] = {
        "measured": measured,
        "nothing": "" if measured else text.nothing_sentence(found["applies"]),
        "others": [
            f"{listing([text.name(stage) for stage in some['stage'].unique()])}: {plain(reason)}"
            for reason, some in _refused(found["applies"]).groupby("reason", sort=False)
        ],
        "figures": set(_drawings(result)),
    }
    return {**context, **_answers(result), **_tables(result)} if measured else context


def _refused(applies: pd.DataFrame) -> pd.DataFrame:
    """The stages that were not measured."""
    return applies[~applies["applies"].astype(bool)]


def _answers(result: Result) -> dict[str, Any]:
    """The sentences, one a stage where they are about one."""
    found = result.tables
    stages = list(found["nulls"]["stage"].unique())
    nulls = found["nulls"]
    return {
        "origin": [text.origin_sentence(found["origin"], stage) for stage in stages],
        "remains": [text.remains_sentence(nulls, stage) for stage in stages],
        "untrained": [text.untrained_sentence(nulls, stage) for stage in stages],
        "embeddings": [text.embeddings_sentence(nulls, stage) for stage in stages],
        "gated": text.gated_sentence(nulls, found["margin"]),
        "rule": [text.rule_sentence(found["counts"], nulls, stage) for stage in stages],
        "story_structure": [
            words_text.story_structure_sentence(found["story_structure"], stage) for stage in stages
        ],
        "feelings": [
            words_text.feelings_sentence(found["feeling_words"], stage) for stage in stages
        ],
        "article": " ".join(
            [
                words_text.article_sentence(found["article_agreement"]),
                words_text.numbering_sentence(found["agreement"]),
            ]
        ).strip(),
        "labels": words_text.labels_sentence(found["labelings"]),
        "seeds": [words_text.seeds_sentence(found["agreement"], stage) for stage in stages],
        "causal": [causal_sentence(found["causal"], stage) for stage in stages],
    }


def _tables(result: Result) -> dict[str, str]:
    found = result.tables
    nulls = found["nulls"]
    return {
        "origin_table": tables.origin_table(found["origin"]),
        "share_table": tables.nulls_table(nulls, TOKEN_SHARE, percent),
        "over_table": tables.nulls_table(nulls, N_OVER, _rounded),
        "found_table": tables.nulls_table(nulls, N_DISCOVERIES, _rounded),
        "kappa_table": tables.agreement_with_embeddings_table(nulls, AGREEMENT, KAPPA),
        "counts_table": tables.counts_table(found["counts"]),
        "tokens_table": tables.tokens_table(found["tokens"]),
        "labelings_table": words_tables.labelings_table(found["labelings"]),
        "words_table": words_tables.words_table(found["article_words"]),
        "article_agreement_table": words_tables.article_agreement_table(found["article_agreement"]),
        "information_table": tables.information_table(found["information"]),
        "causal_table": tables.causal_table(found["causal"]),
        "story_structure_table": words_tables.story_structure_table(found["story_structure"]),
        "feelings_table": words_tables.feelings_table(found["feeling_words"]),
        "feeling_shares_table": words_tables.feeling_shares_table(found["feeling_shares"]),
        "load_table": tables.load_table(found["load"]),
        "repetition_table": tables.repetition_table(found["repetition"]),
        "margin_table": tables.margin_table(found["margin"]),
        "pairs_table": words_tables.pairs_table(found["agreement"]),
    }


def _rounded(value: Any) -> str:
    return count(round(value))


def _headline(result: Result) -> str:
    return text.headline(result.tables["nulls"], result.tables["origin"])


MOE_ROUTING = Page(
    title="Routing of the experts",
    template="moe_routing.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
