"""The tables of the page on the article, as markdown."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from lt_interp.figures.labels import stage_label, step_name
from lt_interp.figures.perplexity import LAST_TOKEN
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import code, plain, short_sample, table
from lt_interp.report.numbers import (
    MINUS,
    MISSING,
    count,
    ends,
    nats,
    percent,
    perplexity,
    published,
    small,
)


def claims_table(claims: pd.DataFrame) -> str:
    """What the article says, what came out, and the verdict."""
    rows = [
        [
            plain(row["claim"]), f"“{plain(row['quote'])}”", value_text(row),
            f"**{plain(row['verdict'])}**",
        ]
        for row in claims.to_dict("records")
    ]  # fmt: skip
    return table(["claim", "the article", "measured", "verdict"], rows, align="llll")


def value_text(row: dict[str, Any]) -> str:
    """The deciding value with its interval, its unit and what it was measured on."""
    if pd.isna(row["value"]):
        return MISSING
    unit = "" if pd.isna(row["unit"]) else row["unit"]
    write = _writer(unit)
    text = write(row["value"])
    if not pd.isna(row["low"]):
        text += f" [{write(row['low'])}, {write(row['high'])}]"
    counted = "" if pd.isna(row["n"]) else f" ({count(row['n'])} {row['n_of']})"
    return plain(f"{text} {unit}{counted}")


def _writer(unit: str) -> Any:
    """How numbers of a unit are written."""
    if unit.startswith("nats"):
        return nats
    if unit.startswith(("share", "probability", "of the attention")):
        return percent
    return count if unit == "parameters" else _three_figures


def _three_figures(value: float) -> str:
    return small(value) if abs(value) < 1e-3 else f"{value:,.3g}".replace("-", MINUS)


def claim_notes(claims: pd.DataFrame) -> list[str]:
    """How each verdict came about."""
    return [
        f"**{plain(row['claim'])}**: {plain(row['verdict'])}. "
        f"Measured: {plain(row['measurement'])}. Found: {plain(_with_minus(row['reason']))}. "
        f"Rule: {plain(row['rule'])}."
        for row in claims.to_dict("records")
    ]


def _with_minus(text: str) -> str:
    """Numbers below zero as pages write them."""
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)


def gains_table(gains: pd.DataFrame, stage: str) -> str:
    """All classes of one pair of stages."""
    rows = [
        [
            _class(row), nats(row["difference_nats"]),
            f"[{nats(row['low'])}, {nats(row['high'])}]", _p(row["p"]), _p(row["q"]), _side(row),
            count(row["n_tokens"]), count(row["n_stories"]),
        ]
        for row in gains[gains["stage"] == stage].to_dict("records")
    ]  # fmt: skip
    headers = ["predicted token", "difference (nats)", "95% interval", "p", "q", "with the part",
               "tokens", "stories"]  # fmt: skip
    return table(headers, rows, align="lrrrrlrr")


def _class(row: dict[str, Any]) -> str:
    """What is predicted; also where, if that is the last token of each row alone."""
    return plain(row["class"] + (f", {row['by']}" if row["by"].startswith(LAST_TOKEN) else ""))


def _p(value: Any) -> str:
    if pd.isna(value):
        return MISSING
    return f"{value:.4f}"


def _side(row: dict[str, Any]) -> str:
    if pd.isna(row["q"]) or row["q"] >= FDR:
        return "no difference shown"
    return "better" if row["difference_nats"] < 0 else "worse"


def evolution_table(evolution: pd.DataFrame) -> str:
    """The article's "Full Evolution", both figures side by side."""
    rows = [
        [
            code(row["stage"]), plain(step_name(row["stage"])), plain(row["adds"] or MISSING),
            published(row["article_perplexity"]),
            f"**{perplexity(row['perplexity'])}**", ends(row["low"], row["high"]),
            plain(row["scored_on"]),
            short_sample(row["article_sample"]), short_sample(row["sample"]),
        ]
        for row in evolution.to_dict("records")
    ]  # fmt: skip
    headers = ["stage", "step", "what we added", "the article's perplexity", "ours",
               "95% interval", "scored on", "the article's model said", "ours said"]  # fmt: skip
    return table(headers, rows, align="lllrrrlll")


def ngrams_table(predictions: pd.DataFrame) -> str:
    """What each n-gram gives to a name, and the article's figure; why not, where one is missing."""
    missing = bool(predictions["reason"].notna().any())
    rows = [
        [
            plain(stage_label(row["stage"])), code(row["prompt"]), code(row["token"]),
            percent(row["article_probability"]), percent(row["probability"]), count(row["rank"]),
            *([MISSING if pd.isna(row["reason"]) else plain(row["reason"])] if missing else []),
        ]
        for row in predictions.to_dict("records")
    ]  # fmt: skip
    headers = ["stage", "after", "next", "the article's", "ours", "rank"]
    remark = ["remark"] if missing else []
    return table([*headers, *remark], rows, align="lllrrr" + "l" * missing)


def parameters_table(parameters: pd.DataFrame) -> str:
    """Parameters counted here and in the article."""
    rows = [
        [
            plain(stage_label(row["stage"])), count(row["article_parameters"]),
            count(row["parameters"]), _same(row),
        ]
        for row in parameters.to_dict("records")
    ]  # fmt: skip
    return table(["stage", "the article's", "ours", "equal?"], rows, align="lrrl")


def _same(row: dict[str, Any]) -> str:
    if pd.isna(row["article_parameters"]):
        return MISSING
    return "yes" if row["article_parameters"] == row["parameters"] else "no"


def experts_table(experts: pd.DataFrame) -> str:
    """The article's words with its share and ours, a column for each of our stages."""
    stages = list(experts["stage"].unique())
    by_stage = {stage: experts[experts["stage"] == stage].set_index("word") for stage in stages}
    printed = experts.drop_duplicates("word")
    rows = [
        [code(word), percent(share), *(_ours(by_stage[stage].loc[word]) for stage in stages)]
        for word, share in zip(printed["word"], printed["article_share"])
    ]
    headers = ["token", "the article's", *(f"ours, {plain(stage_label(s))}" for s in stages)]
    return table(headers, rows, align="lr" + "r" * len(stages))


def _ours(row: pd.Series) -> str:
    if pd.isna(row["share"]):
        return MISSING
    span = f"[{percent(row['low'])}, {percent(row['high'])}]"
    return f"{percent(row['share'])} {span} of {count(row['n_decisions'])}"


def response_table(response: pd.DataFrame) -> str:
    """Losses after the story's own and after another's beginning."""
    rows = [
        [
            plain(stage_label(row["stage"])), f"{row['own_nats']:.3f}", f"{row['other_nats']:.3f}",
            nats(row["benefit_nats"]), f"[{nats(row['low'])}, {nats(row['high'])}]",
            count(row["n_stories"]),
        ]
        for row in response.to_dict("records")
    ]  # fmt: skip
    headers = ["stage", "loss after its own", "loss after another's", "gain (nats)",
               "95% interval", "stories"]  # fmt: skip
    return table(headers, rows, align="lrrrrr")


def stability_table(stability: pd.DataFrame) -> str:
    """How steadily each stage trained beside the one it grew from."""
    rows = [
        [
            plain(stage_label(row["stage"])), plain(stage_label(row["previous"])),
            plain(row["measure"]), f"{row['value']:.4f}", f"{row['previous_value']:.4f}",
            f"[{nats(row['low'])}, {nats(row['high'])}]", plain(row["unit"]),
            count(row["n_steps"]),
        ]
        for row in stability.to_dict("records")
    ]  # fmt: skip
    headers = ["stage", "against", "measure", "stage's", "the other's", "difference, 95% interval",
               "unit", "logged steps"]  # fmt: skip
    return table(headers, rows, align="lllrrrlr")
