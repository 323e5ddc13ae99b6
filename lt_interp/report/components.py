"""The page that counts a stage's parameters, component by component."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.methods.result import Result
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MISSING, count
from lt_interp.report.page import Drawing, Page

__all__ = ["COMPONENTS_PAGE"]


def component_table(rows: pd.DataFrame) -> str:
    """The components of one stage, ours beside the article's."""
    lines = [
        [
            plain(row.component), plain(row.weights), plain(row.formula), plain(row.numbers),
            count(row.parameters), count(row.article_parameters), _signed(row.difference),
        ]
        for row in rows.itertuples()
    ]  # fmt: skip
    headers = ["component", "weights", "formula", "numbers", "parameters", "the article's",
               "difference"]  # fmt: skip
    return table(headers, lines, align="llllrrr")


def total_sentence(rows: pd.DataFrame) -> str:
    """How many there are, and how far that is from the article's count."""
    total = rows[rows["component"] == "total"].iloc[0]
    ours = f"{code(total['stage'])} has {count(total['parameters'])} parameters"
    if pd.isna(total["article_parameters"]):
        return f"{ours}; its article gives no exact count."
    if total["difference"] == 0:
        return f"{ours}, exactly the article's number."
    off = rows[(rows["difference"].fillna(0) != 0) & rows["in_block"]]
    where = ", ".join(f"{plain(row.component)} ({_signed(row.difference)} a block)"
                      for row in off.itertuples())  # fmt: skip
    fewer = "fewer" if total["difference"] > 0 else "more"
    return (
        f"{ours}; the article's formula gives {count(total['article_parameters'])}, "
        f"{count(abs(total['difference']))} {fewer}: {where}."
    )


def _signed(value: Any) -> str:
    return MISSING if pd.isna(value) else f"{int(value):+,}" if value else "0"


def _context(result: Result) -> dict[str, Any]:
    stages = result.tables["components"].groupby("stage", sort=False)
    return {
        "stages": [
            {"sentence": total_sentence(rows), "table": component_table(rows)} for _, rows in stages
        ]
    }


def _drawings(result: Result) -> dict[str, Drawing]:
    return {}


def _headline(result: Result) -> str:
    stages = result.tables["components"].groupby("stage", sort=False)
    return " ".join(total_sentence(rows) for _, rows in stages)


COMPONENTS_PAGE = Page(
    title="Parameters by component",
    template="components.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
