"""The shipped verdicts on the article, pinned: they follow from the other shipped results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lt_interp.methods.article.claims import claims_table
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.saved import READ, Saved
from lt_interp.methods.result import Result

REPORTS = Path(__file__).parents[2] / "reports"


def test_the_shipped_verdicts_follow_from_the_shipped_results() -> None:
    shipped = Result.load(REPORTS / "article").tables
    saved = Saved(
        results={name: Result.load(REPORTS / name) for name in READ}, reasons={},
        stages=list(shipped["parameters"]["stage"]),
    )  # fmt: skip
    found = claims_table(Evidence(tables=shipped, saved=saved))
    pd.testing.assert_frame_equal(found, shipped["claims"], check_dtype=False)
