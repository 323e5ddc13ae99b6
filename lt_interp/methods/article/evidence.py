"""What the claims are judged by: what was measured here, and what other analyses saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lt_interp.article import article_stage
from lt_interp.methods.article.groups import ALL, GROUPS
from lt_interp.methods.article.saved import Saved, one_row
from lt_interp.methods.claims import NotMeasured


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Tables of this analysis by name, and the saved results of the others.

    Attributes:
        tables: `class_gains`, `response`, `after_named`, `ngram_predictions`, `parameters`,
            `stability` and `settings`, of one model a stage; `seeds`.
        saved: The other analyses.
    """

    tables: Mapping[str, pd.DataFrame]
    saved: Saved

    def gain(self, stage: str, *, by: str = ALL, name: str = GROUPS[ALL][0]) -> dict[str, Any]:
        """What a stage gains over the one it grew from on a class of tokens.

        Raises:
            NotMeasured: One of the two was not measured.
        """
        row = one_row(self.tables["class_gains"], stage=stage, by=by, **{"class": name})
        if pd.isna(row["low"]):
            raise NotMeasured("too few stories for an interval")
        return row

    def own(self, table: str, **where: Any) -> dict[str, Any]:
        """The first row of a table with these values.

        Raises:
            NotMeasured: There is none.
        """
        return one_row(self.tables[table], **where)

    def parameters(self, stage: str) -> int:
        """How many parameters a stage has.

        Raises:
            NotMeasured: The stage was not measured.
        """
        return int(self.own("parameters", stage=stage)["parameters"])


def published_perplexity(stage: str) -> float:
    """The article's perplexity of a stage that it has."""
    return article_stage(stage)["perplexity"]
