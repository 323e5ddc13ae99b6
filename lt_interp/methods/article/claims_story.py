"""The article's claim that its experts divided the world into story and structure."""

from __future__ import annotations

from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.runs import ANALYSIS
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.routing_names import STORY, STRUCTURE
from lt_interp.methods.significance import FDR
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, all_of

MOE = "10_moe"


def _divided(evidence: Evidence) -> Finding:
    """Where common story words and common words of structure go, in every run and layer."""
    needed = (
        "stage", "checkpoint", "layer", "story_share", "structure_share", "difference", "q",
        "q_random", "random_router_abs_difference", "load", "n_story", "n_structure",
    )  # fmt: skip
    table = evidence.saved.table(ANALYSIS, "story_structure", needed)
    cases = table[table["stage"] == MOE].dropna(subset=["q", "q_random"])
    if cases.empty:
        raise NotMeasured("too few common words were routed here")
    verdicts = [
        division(case["story_share"], case["structure_share"], q=case["q"],
                 q_random=case["q_random"], load=case["load"])
        for case in cases.to_dict("records")
    ]  # fmt: skip
    widest = cases.loc[cases["difference"].abs().idxmax()]
    return Finding(
        value=float(widest["difference"]), unit="difference of shares",
        n=int((cases["n_story"] + cases["n_structure"]).sum()),
        n_of="tokens, each counted in every run and layer", verdict=all_of(verdicts),
        reason=f"a case is a run and a layer: the two kinds differ (q below {FDR}) in "
        f"{int((cases['q'] < FDR).sum())} of {len(cases)}, farther than with random routers that "
        f"no training touched (q below {FDR}) in {int((cases['q_random'] < FDR).sum())}; the most, "
        f"{widest['story_share']:.0%} of story words and {widest['structure_share']:.0%} of "
        f"structure to one expert with {widest['load']:.0%} of all decisions, where random routers "
        f"lie {widest['random_router_abs_difference']:.0%} apart in the mean; no interval, as the "
        "test permutes words",
    )  # fmt: skip


def division(story: float, structure: float, *, q: float, q_random: float, load: float) -> str:
    """Verdict on one layer.

    Args:
        story: Mean share of story words that one of two experts gets.
        structure: The same of words of structure.
        q: Of equal shares.
        q_random: Of no farther apart than with random routers.
        load: That expert's share of all decisions.
    """
    if q >= FDR or q_random >= FDR:
        return FAILS
    return HOLDS if (story - load) * (structure - load) < 0 else IN_PART


CLAIMS: tuple[Claim[Evidence], ...] = (
    Claim(
        name="Story and structure",
        quote="had spontaneously divided the world into story and structure",
        measurement=f"share of common story words ({', '.join(STORY)}) and of words of structure "
        f"({', '.join(STRUCTURE)}, but for those that open a sentence) that one expert of {MOE} "
        "gets, in every run and layer; a permutation test over words, and how many random routers "
        "part them as far",
        rule="holds if in every run and layer their shares differ (q below 0.05), farther than "
        "with random routers (q below 0.05) and to either side of the expert's share of all "
        "decisions; in part if they do so in some, or on one side; else it does not",
        measure=_divided,
    ),
)
