"""Whether one expert gets the feeling words, in every run, layer and matching."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.runs import (
    ANALYSIS,
    common_numbers,
    doubt,
)
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.routing_names import FREQUENCY
from lt_interp.methods.significance import FDR
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, at_most_in_part

MOE = "10_moe"


def who_cares(evidence: Evidence) -> Finding:
    """Whether feeling words go to one expert, more than other words and than by any router."""
    needed = (
        "stage", "checkpoint", "layer", "matched_by", "expert", "difference", "null_low",
        "null_high", "q", "q_random",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "feeling_words", needed)
    rows = table[table["stage"] == MOE].dropna(subset=["q", "q_random"])
    if not (rows["matched_by"] == FREQUENCY).any():
        raise NotMeasured("too few feeling words were routed here")
    cases = _cases(rows, common_numbers(evidence))
    one_run = cases["checkpoint"].nunique() == 1
    why = "there is one run only" if one_run else doubt(evidence, MOE, fitted=False)
    widest = cases.loc[cases["to_expert_1"].abs().idxmax()]
    to_1 = int((cases["to_expert_1"] > 0).sum())
    verdict = cares(cases)
    return Finding(
        value=float(widest["to_expert_1"]), unit="difference of shares", n=len(cases),
        n_of="cases", verdict=at_most_in_part(verdict) if why else verdict,
        reason=f"a case is a run, a layer and a matching: feeling words go elsewhere than others "
        f"(q below {FDR}) in {int((cases['q'] < FDR).sum())} of {len(cases)}; farther than "
        f"with random routers that no training touched (q below {FDR} over the cases) in "
        f"{int((cases['q_random'] < FDR).sum())} of {len(cases)}; towards expert 1 in {to_1} of "
        f"{len(cases)}, experts numbered alike in all runs; the value is the widest difference, "
        f"with no interval: shuffled words give {widest['null_low']:+.3f} to "
        f"{widest['null_high']:+.3f}" + (f"; {why}" if why else ""),
    )  # fmt: skip


def _cases(rows: pd.DataFrame, numbers_of: dict[tuple[str, str], str]) -> pd.DataFrame:
    """Adds the difference of the common expert 1."""
    common = []
    for row in rows.to_dict("records"):
        numbering = numbers_of.get((str(row["checkpoint"]), str(row["layer"])))
        if numbering is None:
            raise NotMeasured(f"the experts of {row['checkpoint']} have no common numbers")
        common.append(int(numbering[int(row["expert"])]))
    sign = np.where(np.array(common) == 1, 1.0, -1.0)
    return rows.assign(to_expert_1=sign * rows["difference"].to_numpy(float))


def cares(cases: pd.DataFrame) -> str:
    """Verdict on "one expert cares".

    Args:
        cases: `q` and `q_random` of every case, and the difference `to_expert_1`.
    """
    apart = (cases["q"] < FDR) & (cases["q_random"] < FDR)
    if not apart.any():
        return FAILS
    one_expert = (cases["to_expert_1"] > 0).nunique() == 1
    return HOLDS if apart.all() and one_expert else IN_PART
