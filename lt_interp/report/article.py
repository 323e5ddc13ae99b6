"""The page that puts the article to the test: its sentences, its tables, what each part buys."""

from __future__ import annotations

from functools import partial
from typing import Any

from lt_interp.figures.article import (
    expert_words,
    experts_size,
    gains_heatmap,
    gains_size,
    prompt_response,
    response_size,
)
from lt_interp.figures.labels import stage_label
from lt_interp.methods.result import Result
from lt_interp.report import article_tables as tables
from lt_interp.report import article_text as text
from lt_interp.report.markdown import plain
from lt_interp.report.page import Drawing, Page
from lt_interp.report.text import parameters_sentence, unequal_sentence

__all__ = ["ARTICLE_PAGE"]

BY_CLASS, BY_PLACE = ("all tokens", "token class"), ("position in story", "names")
CLASSES, PLACES = "gains_by_class.svg", "gains_by_position.svg"
RESPONSE, EXPERTS = "prompt.svg", "experts.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings = {}
    for file, by in ((CLASSES, BY_CLASS), (PLACES, BY_PLACE)):
        if result.tables["class_gains"]["by"].isin(by).any():
            draw = partial(gains_heatmap, result, by=by)
            drawings[file] = Drawing(draw, gains_size(result, by))
    if len(result.tables["response"]):
        drawings[RESPONSE] = Drawing(partial(prompt_response, result), response_size(result))
    if result.tables["experts"]["share"].notna().any():
        drawings[EXPERTS] = Drawing(partial(expert_words, result), experts_size(result))
    return drawings


def _context(result: Result) -> dict[str, Any]:
    claims, gains = result.tables["claims"], result.tables["class_gains"]
    return {
        "training": text.training_sentence(result.meta),
        "tally": text.tally_sentence(claims),
        "verdicts": text.verdict_sentences(claims),
        "claims": tables.claims_table(claims),
        "claim_notes": tables.claim_notes(claims),
        **_parts(result),
        "files": list(_drawings(result)),
        "pairs": [
            {"label": plain(stage_label(stage)), "table": tables.gains_table(gains, stage)}
            for stage in gains["stage"].unique()
        ],
    }


def _parts(result: Result) -> dict[str, str | list[str]]:
    """The sentences and tables of the article's own tables."""
    found = result.tables
    experts, stability = found["experts"], found["stability"]
    return {
        "certain": text.certain_sentence(found["class_gains"]),
        "gain_sentences": text.gain_sentences(found["class_gains"]),
        "unequal": unequal_sentence(
            found["class_gains"].drop_duplicates("stage"), found["settings"]
        ),
        "seeds_sentence": text.seeds_sentence(found["seeds"]),
        "response_sentence": text.response_sentence(found["response"]),
        "response": tables.response_table(found["response"]),
        "evolution_sentence": text.evolution_sentence(found["evolution"]),
        "evolution": tables.evolution_table(found["evolution"]),
        "window_sentence": text.window_sentence(found["evolution"]),
        "ngram_sentence": text.ngram_sentence(found["ngram_predictions"]),
        "ngrams": tables.ngrams_table(found["ngram_predictions"])
        if len(found["ngram_predictions"]) else "",
        "parameters_sentence": parameters_sentence(found["parameters"]),
        "parameters": tables.parameters_table(found["parameters"]),
        "experts_sentence": text.experts_sentence(experts, list(experts["stage"].unique()))
        if len(experts) else "",
        "experts": tables.experts_table(experts) if len(experts) else "",
        "stability": tables.stability_table(stability) if len(stability) else "",
    }  # fmt: skip


def _headline(result: Result) -> str:
    return text.tally_sentence(result.tables["claims"])


ARTICLE_PAGE = Page(
    title="The article's tables and claims",
    template="article.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
