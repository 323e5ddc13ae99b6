"""The tables of the attention page, as markdown."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.attention_heads import COLUMNS, FDR, head_names
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MINUS, MISSING, Number, count, ends, with_ends

_PLACES = ("stories", "stories, first 8 tokens of a row")


def scores_table(head_scores: pd.DataFrame) -> str:
    """Every score of every trained head with its interval, and the uniform pattern's."""
    return _grid(head_scores, "value", "low", "high", mark=True)


def untrained_table(head_scores: pd.DataFrame) -> str:
    """The same for the untrained stages."""
    return _grid(head_scores, "untrained", "untrained_low", "untrained_high", mark=False)


def repetition_table(repetition: pd.DataFrame) -> str:
    """Induction and duplicate by period, in brackets where nothing repeats."""
    named = repetition.assign(name=head_names(repetition))
    named = named.set_index(["name", "score", "period_tokens"])
    pairs = [
        (score, period)
        for score in ("induction", "duplicate")
        for period in repetition["period_tokens"].drop_duplicates()
    ]
    rows = []
    for name in named.index.unique("name"):
        cells = [named.loc[(name, *pair)] for pair in pairs]
        rows.append([plain(name), *(_repeated(cell) for cell in cells)])
    headers = ["head", *(f"{score}, period {period}" for score, period in pairs)]
    return table(headers, rows, align="l" + "r" * len(pairs))


def _repeated(row: pd.Series) -> str:
    same = "≈ " if row["q"] >= FDR else ""
    return f"{same}{number(row['value'])} ({number(row['unrepeated'])})"


def claims_table(claims: pd.DataFrame, claim: str) -> str:
    """The measurements of one claim."""
    rows = [
        [
            plain(row.quantity),
            row.where if row.where in _PLACES else code(row.where),
            number(row.value),
            ends(row.low, row.high, number),
            number(row.baseline),
            number(row.untrained),
            count(row.n_queries),
            count(row.n_stories),
            plain(row.verdict),
        ]
        for row in claims[claims["claim"] == claim].itertuples()
        if row.where != "overall"
    ]
    headers = ["quantity", "on", "measured", "95% interval", "baseline", "untrained", "tokens",
               "stories", "verdict"]  # fmt: skip
    return table(headers, rows, align="llrrrrrrl")


def number(value: Number) -> str:
    """A number with three decimals below 10 and one from there on."""
    if pd.isna(value):
        return MISSING
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return text.replace("-", MINUS)


def _grid(head_scores: pd.DataFrame, value: str, low: str, high: str, *, mark: bool) -> str:
    """A line a head and a column a score; under it the uniform pattern."""
    named = head_scores.assign(name=head_names(head_scores)).set_index(["name", "score"])
    rows = [
        [
            plain(name),
            *(_cell(named.loc[(name, score)], value, low, high, mark) for score in COLUMNS),
        ]
        for name in named.index.unique("name")
    ]
    uniform = head_scores.groupby("score")["uniform"].mean()
    rows.append(["uniform pattern", *(number(uniform[score]) for score in COLUMNS)])
    titles = [title.replace("entropy / maximum", "entropy, nats") for title in COLUMNS.values()]
    return table(["head", *titles], rows, align="l" + "r" * len(COLUMNS))


def _cell(row: pd.Series, value: str, low: str, high: str, mark: bool) -> str:
    same = "≈ " if mark and row["q"] >= FDR else ""
    return same + with_ends(row[value], row[low], row[high], number)
