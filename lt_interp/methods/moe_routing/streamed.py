"""Every statistic of decisions that needs no null draw, of a corpus of any length.

What belongs here are the loads, repetition and margins, every token's share with its intervals and
its test, the article's words under every numbering, where feeling words go, what token, neighbour
and place tell of the expert with jackknife intervals, and the summaries of the stage's own router.
All of it comes from sums by story and by token (`tally`), so decisions are forgotten as soon as
they are counted. What compares these with chance needs every decision, or what every router read:
exchanges of stories, shuffles, other routers, permutations of words; `analysis` adds it, and what
is no statistic of decisions: the loss when tokens are sent elsewhere, and the router's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lt_interp.corpus.windows import Rows
from lt_interp.methods.moe_routing import across_models, article_words, load, matched_words
from lt_interp.methods.moe_routing.by_token import LEAST, token_rows, token_stories
from lt_interp.methods.moe_routing.decisions import decision_parts
from lt_interp.methods.moe_routing.information import (
    TOKEN,
    left_out_entropies,
    plain_rows,
    told_by,
)
from lt_interp.methods.moe_routing.story_groups import ends
from lt_interp.methods.moe_routing.summaries import common_tokens, summarise
from lt_interp.methods.moe_routing.tally import Tallied, Tally
from lt_interp.methods.routing_names import TOKEN_SHARE
from lt_interp.methods.token_classes import token_classes
from lt_interp.model.stage_model import StageModel

Tables = dict[str, list[dict[str, Any]]]


def streamed_routing(
    model: StageModel,
    rows: Rows,
    n_rows: int,
    *,
    seed: int = 0,
    share: Callable[[int, int], None] = lambda done, n: None,
) -> Tables:
    """Route rows of a corpus and describe where their tokens go, holding no decision.

    Args:
        model: A stage with experts.
        rows: Token rows of its tokenizer.
        n_rows: How many of them, from the first.
        seed: Of the resampling of stories.
        share: Called with rows done and rows in all.

    Returns:
        The tables of `describe`.
    """
    assert model.config.experts is not None
    tally = Tally(n_layers=model.config.depth, n_experts=model.config.experts.count,
                  n_stories=rows.n_stories, d_vocab=model.config.d_vocab)  # fmt: skip
    for part in decision_parts(model, rows, n_rows, inputs=False, share=share):
        tally.add(part)
    return describe(tally, texts_of(model), classes_of(model), seed=seed)


def describe(tally: Tally, texts: Sequence[str], classes: Sequence[str], *, seed: int) -> Tables:
    """The tables that follow from what was counted.

    Args:
        tally: Of all layers.
        texts: The text of every token id.
        classes: The class of every token id.
        seed: Of the resampling of stories.

    Returns:
        `load`, `repetition`, `margin`, `tokens`, `shares`, `labelings`, `word_counts`,
        `feeling_shares`, `information` (not corrected by exchanges) and `summaries`.
    """
    found: Tables = {
        "repetition": load.repetition_rows(tally, seed=seed),
        "margin": load.margin_rows(tally, seed=seed),
        "labelings": article_words.labeling_rows(tally, least=LEAST),
        "word_counts": article_words.word_rows(tally, texts, seed=seed),
        "load": [], "tokens": [], "information": [], "summaries": [], "shares": [],
        "feeling_shares": [],
    }  # fmt: skip
    for one in tally.sets():
        found["load"] += load.load_rows(one, seed=seed)
        found["tokens"] += token_rows(one, texts.__getitem__, seed=seed)
        found["information"] += plain_rows(one)
        found["summaries"] += _summaries(one)
        if len(one.layers) > 1:
            continue  # numbers of experts mean nothing across layers: words are compared within
        common = token_stories(one, least=LEAST)
        found["shares"] += across_models.share_rows(one.name, common.ids, common.shares)
        words = matched_words.words_of(one, texts, classes)
        found["feeling_shares"] += matched_words.feeling_shares(words, texts, layer=one.name)
    return found


def _summaries(one: Tallied) -> list[dict[str, Any]]:
    """What `nulls` compares with other routers, of the stage's own."""
    numbers = summarise(one.token_counts()[None], common_tokens(one, least=LEAST))
    rows: list[dict[str, Any]] = [
        {"layer": one.name, "statistic": statistic, "value": float(value[0])}
            for statistic, value in numbers.items()
    ]  # fmt: skip
    left_out = token_share_left_out(one)
    return [row | dict(zip(("low", "high"), ends(row["value"], left_out)))
            if row["statistic"] == TOKEN_SHARE else row for row in rows]  # fmt: skip


def token_share_left_out(one: Tallied) -> np.ndarray:
    """Share of the expert's entropy that the token tells, without each group of stories."""
    entropies = left_out_entropies(one)
    return told_by(one, TOKEN).left_out / np.where(entropies > 0, entropies, np.inf)


def texts_of(model: StageModel) -> list[str]:
    """The text of every token id; without a tokenizer its number."""
    if model.tokenizer is None:
        return [str(place) for place in range(model.config.d_vocab)]
    return list(model.tokenizer.str_tokens)


def classes_of(model: StageModel) -> list[str]:
    """The class of every token id; without a tokenizer all are alike."""
    return token_classes(model.tokenizer) if model.tokenizer else ["other"] * model.config.d_vocab
