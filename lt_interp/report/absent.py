"""The stages that an analysis has nothing to measure on, and why: the same table on every page."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.labels import stage_label
from lt_interp.report.markdown import plain, table


def absent_table(applies: pd.DataFrame) -> str:
    """A row a stage that was left out; nothing if there is none.

    Args:
        applies: `stage`, `applies` and `reason` of every model.
    """
    absent = applies[~applies["applies"].astype(bool)].drop_duplicates("stage")
    rows = [[plain(stage_label(row.stage)), plain(row.reason)] for row in absent.itertuples()]
    return table(["stage", "why nothing was measured"], rows, align="ll") if rows else ""
