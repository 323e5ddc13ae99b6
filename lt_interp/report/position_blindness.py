"""The page on position blindness: which stages cannot tell two orders of the same words apart."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import position_blindness_distance as distance
from lt_interp.figures import position_blindness_ladder as ladder
from lt_interp.figures.labels import stage_label
from lt_interp.figures.position_blindness import logit_differences, size
from lt_interp.methods.result import Result
from lt_interp.report import blindness_orders_text as orders
from lt_interp.report import blindness_tables as tables
from lt_interp.report import blindness_text as text
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import percent, small
from lt_interp.report.page import Drawing, Page

__all__ = ["POSITION_BLINDNESS"]

LADDER, DISTANCE = "ladder.svg", "distance.svg"


def _variants(result: Result) -> list[str]:
    return list(_told(result)["variant"].unique())


def _told(result: Result) -> pd.DataFrame:
    """The comparisons of the pair that could be made."""
    differences = result.tables["differences"]
    return differences[differences["identical"].notna()].astype(
        {"identical": bool, "expected_identical": bool, "same_top_token": bool}
    )


def _file(variant: str) -> str:
    """The figure of a variant: its words, without what a file name should not hold."""
    words = "".join(letter if letter.isalnum() else " " for letter in variant.lower()).split()
    return f"difference_{'_'.join(words)}.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings = {LADDER: Drawing(partial(ladder.order_ladder, result), ladder.size(result))}
    if distance.seeing_stages(result):
        drawings[DISTANCE] = Drawing(
            partial(distance.distance_panels, result), distance.size(result),
            distance.panels(result),
        )  # fmt: skip
    told = Result(name=result.name, tables={**result.tables, "differences": _told(result)})
    for variant in _variants(result):
        draw = partial(logit_differences, told, variant=variant)
        drawings[_file(variant)] = Drawing(draw, size(told))
    return drawings


def _context(result: Result) -> dict[str, Any]:
    return {**_orders(result), **_pair(result)}


def _orders(result: Result) -> dict[str, Any]:
    """The part of the page on shuffled prefixes and swapped neighbours."""
    verdicts, permutations, swaps = (
        result.tables[name] for name in ("verdicts", "permutations", "swaps")
    )
    return {
        "verdict": orders.verdict_sentence(verdicts),
        "expected_verdict": orders.expected_verdict_sentence(verdicts),
        "nothing_read": orders.nothing_read_sentence(permutations, verdicts),
        "cost": orders.size_sentence(permutations, verdicts),
        "window": orders.window_sentence(verdicts),
        "training": orders.training_sentence(verdicts),
        "distance": orders.distance_sentence(swaps, verdicts),
        "sample": orders.sample_sentence(permutations),
        "ladder_file": LADDER,
        "distance_file": DISTANCE if distance.seeing_stages(result) else None,
        "verdict_table": tables.verdicts_table(verdicts),
        "permutation_table": tables.permutations_table(permutations),
        "swap_table": tables.swaps_table(swaps, distance.seeing_stages(result)),
    }


def _pair(result: Result) -> dict[str, Any]:
    """The part of the page on the article's pair."""
    told = _told(result)
    untold = result.tables["differences"]
    untold = untold[untold["identical"].isna()]
    return {
        "pair_sentences": [
            text.answer_sentence(told),
            text.expected_sentence(told),
            text.untrained_sentence(told),
        ]
        if len(told)
        else [],
        "variants": [_variant(result, variant) for variant in _variants(result)],
        "untold": [
            f"{text.name(stage)} was not asked: {plain(str(rows['reason'].iloc[0]))}."
            for stage, rows in untold.groupby("stage", sort=False)
        ],
    }


def _variant(result: Result, variant: str) -> dict[str, Any]:
    """The part of the page on one form of the pair."""
    differences, predictions = (
        frame[frame["variant"] == variant]
        for frame in (_told(result), result.tables["predictions"])
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
    headers = ["stage", "after", *(plain(str(rank)) for rank in ranks)]
    return table(headers, rows, align="l" * len(headers))


def _headline(result: Result) -> str:
    return orders.verdict_sentence(result.tables["verdicts"])


POSITION_BLINDNESS = Page(
    title="Position blindness",
    template="position_blindness.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
