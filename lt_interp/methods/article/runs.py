"""Runs of a stage with experts, and how their experts are numbered.

The analysis of routing numbers the experts of the first run so that the article's words go where
the article has them; those of all other runs are matched to the first one's by what they do. What
the article says of expert 0 or 1 is therefore judged on the others, which nothing was fitted to.
"""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.significance import FDR

ANALYSIS = "moe_routing"
FITTED = (
    "the only run here has its experts numbered so that the article's words fit best, so it cannot "
    "do more than hold in part"
)


def judging(table: pd.DataFrame, stage: str) -> tuple[pd.DataFrame, bool]:
    """The rows of a stage by which the article is judged.

    Args:
        table: `stage` and `checkpoint`, the first of which is the run that was fitted.
        stage: The stage.

    Returns:
        The rows of its runs that were not fitted, or of the fitted one if there is no other; and
        whether it is the fitted one.
    """
    rows = table[table["stage"] == stage]
    if rows.empty:
        return rows, False
    others = rows[rows["checkpoint"] != table["checkpoint"].iloc[0]]
    return (rows, True) if others.empty else (others, False)


def doubt(evidence: Evidence, stage: str, *, fitted: bool) -> str:
    """Why the numbers of the experts keep a verdict from being "holds"; empty if they do not.

    Args:
        evidence: With the analysis of routing.
        stage: The stage that is judged.
        fitted: Whether by the run that was fitted.
    """
    if fitted:
        return FITTED
    needed = ("checkpoint", "other_stage", "layer", "q")
    pairs = evidence.saved.table(ANALYSIS, "agreement", needed)
    first = pairs["checkpoint"].unique()[:1]
    pairs = pairs[pairs["checkpoint"].isin(first) & (pairs["other_stage"] == stage)]
    matched = int((pairs["q"] < FDR).sum())
    if matched == len(pairs):
        return ""
    return (
        f"of {len(pairs)} layers of the other runs {matched} could be matched to those of the "
        f"first run better than chance (q below {FDR}); the numbers of the rest are a guess, so "
        "it cannot do more than hold in part"
    )


def common_numbers(evidence: Evidence) -> dict[tuple[str, str], str]:
    """By run and layer, the common numbers of its experts 0, 1, ..., such as "10".

    Raises:
        NotMeasured: No run has any.
    """
    needed = ("stage", "checkpoint", "labels")
    table = evidence.saved.table(ANALYSIS, "article_words", needed).dropna(subset=["labels"])
    if table.empty:
        raise NotMeasured("none of the article's words was routed here")
    return {
        (str(row["checkpoint"]), str(layer)): own
        for row in table.drop_duplicates("checkpoint").to_dict("records")
        for layer, own in enumerate(str(row["labels"]).split("/"))
    }
