"""The page of the full evolution: the ladder's perplexities, samples, curves and sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures.curves import SIZE, stages_with_curves, training_curve
from lt_interp.figures.labels import main_runs, other_runs, stage_label, step_name
from lt_interp.figures.pairs import paired_differences
from lt_interp.figures.pairs import size as pairs_size
from lt_interp.figures.perplexity import perplexity_chart
from lt_interp.figures.perplexity import size as perplexity_size
from lt_interp.methods.result import Result
from lt_interp.report import text
from lt_interp.report.evolution_tables import (
    ladder_table,
    pairs_table,
    parameters_table,
    points_table,
    samples_table,
    seeds_table,
)
from lt_interp.report.page import Drawing, Page
from lt_interp.report.provenance import of_ladder

__all__ = ["EVOLUTION"]


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings: dict[str, Drawing] = {
        "perplexity.svg": Drawing(partial(perplexity_chart, result), perplexity_size(result))
    }
    if len(result.tables["pairs"]):
        drawings["pairs.svg"] = Drawing(partial(paired_differences, result), pairs_size(result))
    for stage in stages_with_curves(result):
        drawings[_curve_file(stage)] = Drawing(partial(training_curve, result, stage=stage), SIZE)
    return drawings


def _curve_file(stage: str) -> str:
    return f"curve_{stage}.svg"


def _context(result: Result) -> dict[str, Any]:
    ladder, pairs = result.tables["ladder"], result.tables["pairs"]
    return {
        "of_ladder": of_ladder(ladder["stage"]),
        "compared": bool(ladder["article_perplexity"].notna().any()),
        "best": text.best_sentence(ladder),
        "against_article": text.article_sentence(ladder),
        "order": text.order_sentence(pairs),
        "ladder": ladder_table(ladder, result.tables["samples"]),
        "seeds": seeds_table(ladder) if len(other_runs(ladder)) else "",
        "pairs": pairs_table(pairs) if len(pairs) else "",
        "pair_sentences": [
            text.pair_sentence(pair, seeds=text.seed_spread(ladder).max())
            for pair in pairs.itertuples()
        ],
        "unequal": text.unequal_sentence(pairs, ladder),
        "of_seeds": text.seeds_sentence(ladder, pairs),
        "curves": [_curve(result, stage) for stage in stages_with_curves(result)],
        "samples": samples_table(result.tables["samples"]),
        "parameters_sentence": text.parameters_sentence(ladder),
        "parameters": parameters_table(result.tables["parameters"], ladder),
        "n_stages": len(main_runs(ladder)),
    }


def _curve(result: Result, stage: str) -> dict[str, str]:
    """The part of the page on one training curve."""
    published = result.tables["article_curves"]
    points = published[published["stage"] == stage]
    return {
        "file": _curve_file(stage),
        "label": stage_label(stage),
        "step": step_name(stage),
        "sentence": text.curve_sentence(stage, points),
        "points": points_table(points) if points["our_perplexity"].notna().any() else "",
    }


def _headline(result: Result) -> str:
    ladder: pd.DataFrame = result.tables["ladder"]
    return text.best_sentence(ladder)


EVOLUTION = Page(
    title="The full evolution",
    template="evolution.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
