"""The article's table of expert 1's words with our shares."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.article import article
from lt_interp.methods.article.runs import judging
from lt_interp.methods.article.saved import Saved
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.result import make_table

STAGES = ("10_moe", "10_moe_gated")
EXPERTS = {
    "stage": str,
    "word": str,
    "article_share": float,
    "checkpoint": str,
    "share": float,
    "low": float,
    "high": float,
    "load": float,
    "n_decisions": int,
    "n_stories": int,
    "reason": str,
}
_OURS = ("checkpoint", "share", "low", "high", "load", "n_decisions", "n_stories")


def experts_table(saved: Saved) -> pd.DataFrame:
    """Each printed word, in the order of the article, for one run of each stage.

    The experts are numbered as in the page on routing: alike in all models. The run whose numbering
    was chosen to suit the article stands here only where a stage has no other.
    """
    printed = article()["routing"]["article_table"]
    rows = []
    for stage in (stage for stage in STAGES if stage in saved.stages):
        found, reason = _words(saved, stage)
        for word, percent in printed.items():
            row = {"stage": stage, "word": word, "article_share": percent / 100}
            rows.append({**row, **found.get(word, {"reason": reason})})
    return make_table(EXPERTS, rows)


def printed_words(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `article_words` that the article prints, as far as they were routed.

    A word that is also a token of its own at the beginning of a line stands here with its space,
    which is the commoner of the two.
    """
    within = table["word"].astype(str).str.startswith(" ") & table["article_printed"].notna()
    return table[within].dropna(subset=["share"])


def _words(saved: Saved, stage: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Our figures by word, and why a word may lack them."""
    try:
        needed = ("stage", "word", "article_printed", *_OURS)
        table = saved.table("moe_routing", "article_words", needed)
    except NotMeasured as reason:
        return {}, str(reason)
    rows, _ = judging(printed_words(table), stage)
    rows = rows[rows["checkpoint"] == rows["checkpoint"].iloc[0]] if len(rows) else rows
    found = {
        row["word"].strip(): {key: row[key] for key in _OURS} for row in rows.to_dict("records")
    }
    return found, "not measured: is no token here, or does not occur"
