"""Claims of the article on what makes a transformer: FFN, residuals, depth and heads."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lt_interp.methods.article.claim_kinds import gain_claim
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.groups import NAMES, NEW, SEEN
from lt_interp.methods.article.head_start import (
    UNEQUAL_RULE,
    as_trained,
    head_start,
    unequal_clause,
)
from lt_interp.methods.article.stability import GRADIENT, LOSS
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.verdict import (
    FAILS,
    HOLDS,
    IN_PART,
    Finding,
    all_of,
    yes,
)

DIFFERENT = 0.1  # of the attention
FFN, BLOCK, TWO_BLOCKS, HEADS = "06_ffn", "07_block", "08_two_blocks", "09_multi_head"


def _steadier(evidence: Evidence) -> Finding:
    """Both measures of a smooth training, the block against the stage without residuals."""
    if head_start(evidence, BLOCK) != 1:
        raise NotMeasured(
            f"{BLOCK} and {FFN} were trained for unequal lengths, so at the same step their "
            "learning rates differ"
        )
    loss, gradient = (
        evidence.own("stability", stage=BLOCK, measure=measure) for measure in (LOSS, GRADIENT)
    )
    lower = [bool(row["high"] < 0) for row in (loss, gradient)]
    return Finding(
        value=loss["difference"], low=loss["low"], high=loss["high"], unit="nats",
        n=int(loss["n_steps"]), n_of="logged steps",
        verdict=yes(*lower),
        reason=f"roughness of the training loss {loss['previous_value']:.4f} without and "
        f"{loss['value']:.4f} with residuals; swings of the gradient's norm "
        f"{gradient['previous_value']:.3f} and {gradient['value']:.3f}, the difference in "
        f"{gradient['low']:+.3f} to {gradient['high']:+.3f}; one run of each",
    )  # fmt: skip


def _keeps_the_name(evidence: Evidence) -> Finding:
    """What the block gains on names that were already said."""
    seen = evidence.gain(BLOCK, by=NAMES, name=SEEN)
    new = evidence.gain(BLOCK, by=NAMES, name=NEW)
    better = bool(seen["high"] < 0)
    more = bool(seen["high"] < new["low"])
    times = head_start(evidence, BLOCK)
    return Finding(
        value=seen["difference_nats"], low=seen["low"], high=seen["high"], unit="nats a name",
        n=int(seen["n_stories"]), n_of="stories",
        verdict=as_trained(HOLDS if better and more else IN_PART if better else FAILS, times),
        reason=f"on names said before the loss changes by {seen['difference_nats']:+.3f} nats, on "
        f"names not yet said by {new['difference_nats']:+.3f}{unequal_clause(times)}",
    )  # fmt: skip


def _deeper_without(evidence: Evidence) -> Finding:
    raise NotMeasured(
        "the ladder has no stage of two blocks without residuals, so there is nothing to compare"
    )


def _heads_differ(evidence: Evidence) -> Finding:
    """The largest difference between the two heads of a layer in where they look."""
    needed = ("stage", "layer", "head", "score", "value", "low", "high")
    table = evidence.saved.table("attention", "head_scores", needed)
    weights = ~table["score"].astype(str).str.endswith(("_nats", "_tokens"))
    table = table[(table["stage"] == HEADS) & weights].dropna(subset=["low", "high"])
    layers = {layer: heads_apart(rows) for layer, rows in table.groupby("layer")}
    if not layers:
        raise NotMeasured(f"not measured for {HEADS}")
    each = "; ".join(
        f"layer {layer}, {gap.difference:.3f} in the score {gap.score}"
        for layer, gap in layers.items()
    )
    return Finding(
        value=max(gap.difference for gap in layers.values()), unit="of the attention",
        n=len(layers), n_of="layers", verdict=all_of([gap.verdict for gap in layers.values()]),
        reason=f"the widest differences: {each}; no interval of the difference, the rule compares "
        "those of the heads",
    )  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """How far the heads of a layer are apart.

    Attributes:
        score: In which they differ most.
        difference: By how much.
        apart: Distance between the intervals, below 0 where they overlap.
    """

    score: str
    difference: float
    apart: float

    @property
    def verdict(self) -> str:
        """Whether they do different things, a little different ones, or the same."""
        return HOLDS if self.apart >= DIFFERENT else IN_PART if self.apart > 0 else FAILS


def heads_apart(rows: pd.DataFrame) -> Gap:
    """The heads of one layer in the score that keeps them farthest apart.

    Args:
        rows: `head`, `score`, `value`, `low` and `high`.
    """
    by = rows.groupby("score")
    apart = by["low"].max() - by["high"].min()
    score = apart.idxmax()
    values = by["value"].max() - by["value"].min()
    return Gap(str(score), float(values[score]), float(apart[score]))


CLAIMS: tuple[Claim[Evidence], ...] = (
    gain_claim("Thinking pays", "Thinking (Feedforward Network) […] Perplexity: 13.3.", FFN),
    gain_claim(
        "Residuals and LayerNorm pay",
        "Residual Connections + Layer Normalization […] Perplexity: 10.9.",
        BLOCK,
    ),
    Claim(
        name="Training is steadier",
        quote="And training was noticeably more stable.",
        measurement=f"roughness of the training loss of {BLOCK} minus that of {FFN}, and swings "
        "of the gradient's norm",
        rule="holds if both are lower with intervals below 0, in part if one is, else it does not; "
        "not testable if one was trained for longer",
        measure=_steadier,
    ),
    Claim(
        name="A character is kept",
        quote="the fact that it maintained a character across multiple sentences is new",
        measurement=f"loss of {BLOCK} minus loss of {FFN} on names that were said before",
        rule="holds if it falls, and by more than on names not yet said (intervals apart); in part "
        "if it falls, else it does not" + UNEQUAL_RULE,
        measure=_keeps_the_name,
    ),
    Claim(
        name="Depth needs residuals",
        quote="Without residuals, stacking layers eventually makes things worse.",
        measurement="none",
        rule="would need two blocks without residuals",
        measure=_deeper_without,
    ),
    gain_claim("Depth pays", "Going Deeper (Stacking) […] Perplexity: 8.7.", TWO_BLOCKS),
    gain_claim(
        "A second head pays",
        "A Bigger Brain (Multi-Head Attention) […] Perplexity: 8.3.",
        HEADS,
    ),
    Claim(
        name="Heads learn different things",
        quote="Different heads learn different things",
        measurement=f"difference between the two heads of a layer of {HEADS} in any score of the "
        "page on attention",
        rule=f"holds if in every layer some score differs by intervals that are {DIFFERENT} apart "
        "(a tenth of the attention), in part if they are apart by less or in one layer only",
        measure=_heads_differ,
    ),
)
