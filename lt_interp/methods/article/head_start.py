"""Two stages that read unequally much: what the longer training may account for.

A gain of a stage that also read more is not all its part's, and a stage that read less may have
lost for that alone. A gain in spite of less training stands, and so does none in spite of more, as
long as reading more still helped: a stage that learned its text by heart would say nothing.
"""

from __future__ import annotations

from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.times_read import times_read
from lt_interp.methods.verdict import FAILS, UNTESTABLE, at_most_in_part
from lt_interp.stages import STAGES

UNEQUAL_RULE = (
    "; in part at most for a stage that read more than the other, not testable if the one that "
    "does no better read less"
)


def head_start(evidence: Evidence, stage: str) -> float:
    """How many tokens a stage read for each that the stage it grew from read.

    Returns:
        As `times_read`.
    """
    seen = evidence.tables["settings"].set_index("stage")["tokens_seen"]
    return times_read(seen.get(stage), seen.get(STAGES[stage].grows_from))


def as_trained(verdict: str, times: float) -> str:
    """A verdict on "this part helped", as far as the training of both stages allows one.

    Args:
        verdict: From the losses alone.
        times: Of `head_start`.
    """
    if times > 1:
        return at_most_in_part(verdict)
    return UNTESTABLE if times < 1 and verdict == FAILS else verdict


def unequal_clause(times: float) -> str:
    """What a reason adds where the stages read unequally much."""
    return "" if times == 1 else f"; the stage read {times:.3g} times the tokens of the one before"
