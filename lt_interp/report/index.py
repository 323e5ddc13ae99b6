"""The front page: the ladder at a glance, and where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lt_interp.figures.labels import main_runs, step_name
from lt_interp.methods.result import Result
from lt_interp.report.evolution_tables import scored_mark
from lt_interp.report.markdown import code, listing, plain, table
from lt_interp.report.numbers import MISSING, count, ends, millions, perplexity, published
from lt_interp.report.page import Page
from lt_interp.report.provenance import corpus_sentences, how_made

LADDER = "evolution"  # the analysis whose ladder the front page shows


def index_context(results: Mapping[str, Result], pages: Mapping[str, Page]) -> dict[str, Any]:
    """What the front page's template needs.

    Args:
        results: The saved results by name of the analysis, at least one.
        pages: The page of each.
    """
    first = results.get(LADDER) or next(iter(results.values()))
    ladder = results[LADDER].tables["ladder"] if LADDER in results else None
    return {
        "corpora": _corpora(results, pages),
        "links": links(results, pages),
        "ladder": "" if ladder is None else _glance(results[LADDER]),
        "chart": f"{LADDER}/perplexity.svg",
        "made": how_made(first.meta),
        "made_by": pages[first.name].title,
    }  # fmt: skip


def links(results: Mapping[str, Result], pages: Mapping[str, Page]) -> list[dict[str, str]]:
    """Every page with the one sentence that sums it up."""
    return [
        {
            "title": pages[name].title, "file": f"{name}/report.md",
            "headline": pages[name].headline(result),
        }
        for name, result in results.items()
    ]  # fmt: skip


def _corpora(results: Mapping[str, Result], pages: Mapping[str, Page]) -> list[str]:
    """One paragraph for every corpus in use; with more than one, which pages it is behind."""
    paragraphs: dict[str, list[str]] = {}
    on_stories = {name: result for name, result in results.items() if "corpus" in result.meta}
    for name, result in on_stories.items():
        paragraphs.setdefault(corpus_sentences(result.meta), []).append(pages[name].title)
    if len(paragraphs) == 1:
        return list(paragraphs)
    return [f"{text} Pages: {listing(titles)}." for text, titles in paragraphs.items()]


def _glance(result: Result) -> str:
    """The ladder in its shortest form."""
    rows = [
        [
            code(row.stage), plain(step_name(row.stage)), plain(row.adds or MISSING),
            count(row.parameters), millions(row.tokens_seen), f"**{perplexity(row.perplexity)}**",
            ends(row.perplexity_low, row.perplexity_high),
            published(row.article_perplexity) + scored_mark(row.article_scored_on),
        ]
        for row in main_runs(result.tables["ladder"]).itertuples()
    ]  # fmt: skip
    headers = ["stage", "step", "what is added", "parameters", "tokens seen", "perplexity",
               "95% interval", "the article's"]  # fmt: skip
    return table(headers, rows, align="lllrrrrr")
