"""The page on position blindness: which stages cannot tell two orders of the same words apart."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures.labels import stage_label
from lt_interp.figures.position_blindness import logit_differences, size
from lt_interp.methods.result import Result
from lt_interp.report import blindness_text as text
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import percent, small
from lt_interp.report.page import Drawing, Page

__all__ = ["POSITION_BLINDNESS"]


def _variants(result: Result) -> list[str]:
    return list(result.tables["differences"]["variant"].unique())


def _file(variant: str) -> str:
    """The figure of a variant: its words, without what a file name should not hold."""
    words = "".join(letter if letter.isalnum() else " " for letter in variant.lower()).split()
    return f"difference_{'_'.join(words)}.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    return {
        _file(variant): Drawing(partial(logit_differences, result, variant=variant), size(result))
        for variant in _variants(result)
    }


def _context(result: Result) -> dict[str, Any]:
    differences = result.tables["differences"]
    return {
        "answer": text.answer_sentence(differences),
        "expected": text.expected_sentence(differences),
        "untrained": text.untrained_sentence(differences),
        "variants": [_variant(result, variant) for variant in _variants(result)],
    }


def _variant(result: Result, variant: str) -> dict[str, Any]:
    """The part of the page on one form of the pair."""
    differences, predictions = (
        frame[frame["variant"] == variant]
        for frame in (result.tables["differences"], result.tables["predictions"])
    )
    trained = differences[differences["weights"] == "trained"]
    return {
        "title": plain(variant),
        "file": _file(variant),
        "sentences": [code(sentence) for sentence in predictions["sentence"].unique()],
        "blind": text.blind_sentence(trained),
        "scale": text.scale_sentence(trained),
        "differences": _differences_table(differences),
        "predictions": _predictions_table(predictions[predictions["weights"] == "trained"]),
    }


def _differences_table(differences: pd.DataFrame) -> str:
    """Every stage and its untrained twin."""
    rows = [
        [
            plain(stage_label(row.stage)), plain(row.weights), small(row.max_abs_logit_difference),
            small(row.bound), _yes(row.identical), _yes(row.expected_identical),
            _yes(row.same_top_token),
            f"{small(row.reference_difference)} "
            f"({small(row.reference_low)} to {small(row.reference_high)})",
            small(row.logit_std),
        ]
        for row in differences.itertuples()
    ]  # fmt: skip
    headers = ["stage", "weights", "largest difference of a logit", "rounding bound", "identical?",
               "forced by architecture?", "same top token?", "unrelated contexts (5% to 95%)",
               "standard deviation of logits"]  # fmt: skip
    return table(headers, rows, align="llrrlllrr")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _predictions_table(predictions: pd.DataFrame) -> str:
    """The likeliest next tokens after each sentence, the likeliest first."""
    ranks = sorted(predictions["rank"].unique())
    rows = []
    for (stage, sentence), group in predictions.groupby(["stage", "sentence"], sort=False):
        cells = {row.rank: f"{code(row.token)} {percent(row.probability)}"
                 for row in group.itertuples()}  # fmt: skip
        rows.append([plain(stage_label(stage)), code(sentence), *(cells[rank] for rank in ranks)])
    headers = ["stage", "after", *(str(rank) for rank in ranks)]
    return table(headers, rows, align="l" * len(headers))


def _headline(result: Result) -> str:
    return text.answer_sentence(result.tables["differences"])


POSITION_BLINDNESS = Page(
    title="Position blindness",
    template="position_blindness.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
