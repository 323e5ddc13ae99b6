"""Claims of the article on its first attention head, without and with positions."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.article.claim_kinds import gain_claim, known, shuffled_finding
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.saved import numbers, one_row
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.verdict import (
    FAILS,
    HOLDS,
    IN_PART,
    VERDICTS,
    Finding,
    above,
)

BIGRAM, ATTENTION, POSITION = "03_bigram", "04_attention", "05_attn_position"
SELF = "every token attends mostly to itself"
BROKE = "the rigid self-attention diagonal broke open"
EXAMPLES, FIRST_EXAMPLE = "“was” attends to “there”", "weight of “was”"
SELF_QUANTITY = "mean weight of a token on itself"
MOSTLY = 0.5


def _attention(evidence: Evidence, claim: str, quantity: str = SELF_QUANTITY) -> Finding:
    """The verdict of the analysis of attention, and the first of its measures of the quantity.

    Args:
        evidence: With the saved analysis.
        claim: Words that name the claim there.
        quantity: How the quantity begins that stands for the claim here.
    """
    needed = ("claim", "where", "quantity", "value", "low", "high", "verdict", "n_stories")
    rows = evidence.saved.table("attention", "claims", needed)
    rows = rows[rows["claim"].astype(str).str.contains(claim, regex=False)]
    whole = one_row(rows, where="overall")["verdict"]
    measured = rows[rows["quantity"].astype(str).str.startswith(quantity)].dropna(subset=["value"])
    if measured.empty or whole not in VERDICTS:
        raise NotMeasured("not measured by the analysis of attention")
    row = measured.iloc[0]
    parts = rows[rows["where"] != "overall"]["verdict"].value_counts()
    counted = ", ".join(f"{parts[name]} of {parts.sum()} “{name}”" for name in parts.index)
    on_stories = not pd.isna(row["n_stories"])
    return Finding(
        value=float(row["value"]), low=known(row["low"]), high=known(row["high"]),
        unit="of the attention", n=int(row["n_stories"]) if on_stories else 1,
        n_of="stories" if on_stories else "prompt", verdict=whole,
        reason=f"{row['quantity']}; of all its measures, {counted}"
        + ("; no interval of one prompt" if pd.isna(row["low"]) else ""),
    )  # fmt: skip


def _position_used(evidence: Evidence) -> Finding:
    """Whether other orders of the same tokens change the prediction."""
    needed = ("stage", "weights", "kl_nats", "kl_low", "kl_high", "kl_bound_nats", "n_stories")
    table = evidence.saved.table("position_blindness", "permutations", needed)
    row = one_row(table, stage=POSITION, weights="trained")
    value, low, high, bound = numbers(row, "kl_nats", "kl_low", "kl_high", "kl_bound_nats")
    return Finding(
        value=value, low=low, high=high, unit="nats of KL", n=int(row["n_stories"]),
        n_of="stories", verdict=above(low, high, bound),
        reason=f"other orders of the tokens before the last move the prediction by "
        f"{row['kl_nats']:.3f} nats of KL",
    )  # fmt: skip


def _names_follow(evidence: Evidence) -> Finding:
    """The probability of a name after "named", with and without what the position adds."""
    row = evidence.own("after_named", stage=POSITION)
    before = one_row(evidence.tables["after_named"], stage=BIGRAM)
    low, highest_before = numbers(row, "low")[0], numbers(before, "high")[0]
    return Finding(
        value=row["probability"], low=row["low"], high=row["high"], unit="probability",
        n=int(row["n_stories"]), n_of="stories",
        verdict=names_learned(low, highest_before),
        reason=f"a name is given {row['probability']:.1%}; the bigram, which has neither attention "
        f"nor position, gives it {before['probability']:.1%}, at most {highest_before:.1%}",
    )  # fmt: skip


def names_learned(low: float, before: float) -> str:
    """Verdict on "could now learn", from intervals of the probability of a name.

    Args:
        low: Lower end of the stage's.
        before: Upper end of the bigram's.
    """
    if low <= max(MOSTLY, before):
        return FAILS
    return HOLDS if before <= MOSTLY else IN_PART


CLAIMS: tuple[Claim[Evidence], ...] = (
    gain_claim(
        "Attention pays",
        "The model dropped ten points just from being able to see its predecessors.",
        ATTENTION,
    ),
    Claim(
        name="Attention alone is order-blind",
        quote="attention without position is order-blind — the model knows what came before but "
        "not where",
        measurement=f"largest change of a logit of {ATTENTION} when the tokens before the last "
        "change places",
        rule="holds if it is within rounding, else it does not",
        measure=lambda evidence: shuffled_finding(evidence, ATTENTION),
    ),
    Claim(
        name="The diagonal",
        quote=SELF,
        measurement=f"attention that {ATTENTION} pays to the token itself, over the stories and in "
        "the article's prompts",
        rule="the verdict of the page on attention: holds if a token gives itself more than half, "
        "and nearly every token does; in part if some of this is so",
        measure=lambda evidence: _attention(evidence, SELF),
    ),
    gain_claim(
        "Position pays once there is attention",
        "A Sense of Place (Positional Encoding) […] Perplexity: 17.7.",
        POSITION,
    ),
    Claim(
        name="Position is used",
        quote="This time, with attention in place, the model could actually use position "
        "information.",
        measurement=f"KL that {POSITION} shows when the tokens before the last change places",
        rule="holds if the interval lies above what rounding can do, in part if it contains it",
        measure=_position_used,
    ),
    Claim(
        name="Names after “named”",
        quote="The model could now learn that […] words right after “named” tend to be names",
        measurement=f"probability that {POSITION} gives to names after “named” in the stories",
        rule="holds if it is above one half and the bigram's is not, in part if it is above the "
        "bigram's (intervals apart) and that is above one half too, else it does not",
        measure=_names_follow,
    ),
    Claim(
        name="The diagonal broke open",
        quote="The rigid self-attention diagonal broke open.",
        measurement=f"attention to the token itself, {POSITION} minus {ATTENTION}",
        rule="the verdict of the page on attention: holds if every measure falls, in part if some "
        "do",
        measure=lambda evidence: _attention(evidence, BROKE),
    ),
    Claim(
        name="“was” attends to “there”",
        quote="“was” attends to “there,” “girl” attends to “little.”",
        measurement=f"weight of the two pairs in {POSITION} on the article's prompt; the value is "
        "that of the first pair",
        rule="the verdict of the page on attention: holds if each is the largest weight of its "
        "row, in part if above the uniform pattern or for one pair only",
        measure=lambda evidence: _attention(evidence, EXAMPLES, FIRST_EXAMPLE),
    ),
)
