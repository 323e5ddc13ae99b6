"""The stages as a table, which a notebook shows as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from lt_interp.methods.ladder import ladder
from lt_interp.methods.result import make_table


class Ladder(pd.DataFrame):
    """The table of the stages; what is taken out of it is an ordinary DataFrame.

    A notebook shows it whole and rounded, where pandas would cut the texts and print six decimals.
    """

    def _repr_html_(self) -> str:
        shown = {}
        for name in self:
            heading, form = _SHOWN.get(name, (name, str))
            shown[heading] = self[name].map(form, na_action="ignore")
        with pd.option_context("display.max_colwidth", None):
            return pd.DataFrame(shown).to_html(index=False, na_rep="–", justify="left", border=0)


# What a notebook shows of each column: its heading, and how a value is written.
_SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "id": ("stage", str),
    "family": ("family", str),
    "adds": ("adds", str),
    "parameters": ("parameters", "{:,}".format),
    "tokens_seen": ("tokens seen", "{:,.0f}".format),
    "perplexity": ("perplexity", "{:,.2f}".format),
    "article_perplexity": ("article's", "{:,.1f}".format),
}


def stages() -> Ladder:
    """Every stage as a table, which a notebook shows as one."""
    columns = {
        "id": str,
        "family": str,
        "adds": str,
        "parameters": int,
        "tokens_seen": int,
        "perplexity": float,
        "article_perplexity": float,
    }
    return Ladder(make_table(columns, ladder()))
