"""What the article says of its experiments, each sentence with a rule and a verdict."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.ablations.losses import Ends, Losses, difference, ends
from lt_interp.methods.claims import Claim, judged
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, above, below, within, yes

TAIL = 1000  # "Even after 1000 steps"
CLOSE = 0.05  # nats a character that we call little


def claims_table(losses: Losses) -> pd.DataFrame:
    """Every sentence with what was measured and the verdict."""
    return judged(CLAIMS, losses)


def _finding(found: Ends, verdict: str, reason: str, losses: Losses, unit: str) -> Finding:
    value, low, high = found
    n = len({run.seed for run in losses.logs})
    return Finding(
        value=value, low=low, high=high, verdict=verdict, reason=reason, unit=unit, n=n,
        n_of="seeds",
    )  # fmt: skip


def _first_loss(losses: Losses) -> Finding:
    found = ends(losses.training("pytorch_default", 1, 1))
    other = ends(losses.training("gpt", 1, 1))[0]
    mean = found[0]
    verdict = HOLDS if 40 <= mean <= 160 else IN_PART if mean > 2 * other else FAILS
    reason = f"{mean:.1f} nats at step 1, and {other:.2f} with N(0, 0.02)"
    return _finding(found, verdict, reason, losses, "nats a character")


def _tail(losses: Losses) -> Finding:
    gap = _gap(losses, TAIL + 1, losses.steps)
    small = ends(losses.training("gpt", TAIL + 1, losses.steps))[0]
    reason = f"{small + gap[0]:.3f} nats with the default, {small:.3f} with N(0, 0.02)"
    return _finding(gap, above(gap[1], gap[2], 0.0), reason, losses, "nats a character")


def _converge(losses: Losses) -> Finding:
    early, late = _gap(losses, 101, 200), _gap(losses, *losses.last_tenth)
    verdict = within(late[1], late[2], CLOSE)
    if verdict != HOLDS:
        verdict = IN_PART if late[0] < early[0] / 2 else FAILS
    reason = (
        f"the gap was {early[0]:.3f} at steps 101 to 200 and is {late[0]:.3f} in the last tenth"
    )
    return _finding(late, verdict, reason, losses, "nats a character")


def _gap(losses: Losses, first: int, last: int) -> Ends:
    arms = ("pytorch_default", "gpt")
    default, small = (losses.training(arm, first, last) for arm in arms)
    return difference(default, small)


def _overfits(losses: Losses) -> Finding:
    without, with_ = losses.final("few_no_positions"), losses.final("few")
    more = difference(without, with_)
    apart = difference(losses.validation("few_no_positions"), without)
    close, overfits = below(more[1], more[2], 2 * CLOSE) == HOLDS, apart[1] > 1
    verdict = HOLDS if close and overfits else IN_PART if overfits else FAILS
    reason = (
        f"on few stories its training loss ends at {ends(without)[0]:.3f} nats, with positions at "
        f"{ends(with_)[0]:.3f}; its validation loss lies {apart[0]:.2f} above its own"
    )
    return _finding(more, verdict, reason, losses, "nats a character")


def _essential(losses: Losses) -> Finding:
    more = difference(losses.validation("no_positions"), losses.validation("gpt"))
    reason = _against_gpt(losses, more, "without positions", "with them")
    return _finding(more, above(more[1], more[2], 0.0), reason, losses, "nats a character")


def _untied(losses: Losses) -> Finding:
    more = difference(losses.validation("untied"), losses.validation("gpt"))
    reason = _against_gpt(losses, more, "untied", "tied")
    return _finding(more, within(more[1], more[2], CLOSE), reason, losses, "nats a character")


def _against_gpt(losses: Losses, more: Ends, one: str, other: str) -> str:
    gpt = ends(losses.validation("gpt"))[0]
    return f"{gpt + more[0]:.3f} nats {one}, {gpt:.3f} {other}"


def _over_frequencies(losses: Losses, arm: str) -> Ends:
    """How far the final training loss lies above the entropy of a character."""
    return ends([loss - losses.unigram_nats for loss in losses.final(arm)])


def _one_block(losses: Losses) -> Finding:
    over = _over_frequencies(losses, "no_residual_1")
    return _finding(over, below(over[1], over[2], -0.3), _against(losses, over), losses, UNIT)


def _two_blocks(losses: Losses) -> Finding:
    over = _over_frequencies(losses, "no_residual_2")
    slower = difference(losses.final("no_residual_2"), losses.final("no_residual_1"))
    verdict = yes(slower[1] > 0, over[2] < 0)
    reason = f"{_against(losses, over)}, and {slower[0]:+.3f} against one block"
    return _finding(over, verdict, reason, losses, UNIT)


def _three_blocks(losses: Losses) -> Finding:
    over = _over_frequencies(losses, "no_residual_3")
    verdict = above(over[1], over[2], -0.1)
    return _finding(over, verdict, _against(losses, over), losses, UNIT)


def _against(losses: Losses, over: Ends) -> str:
    return (
        f"the training loss ends at {losses.unigram_nats + over[0]:.3f} nats; a character's "
        f"entropy is {losses.unigram_nats:.3f}"
    )


def _vanishing(losses: Losses) -> Finding:
    found = ends(losses.gradient_ratio("no_residual_3"))
    with_stream = ends(losses.gradient_ratio("gpt"))[0]
    verdict = HOLDS if found[2] < 0.1 else IN_PART if found[2] < 1 else FAILS
    reason = f"with residual connections and five blocks it is {with_stream:.2g}"
    return _finding(found, verdict, reason, losses, "of the last block's norm")


UNIT = "nats above the entropy"
CLAIMS: tuple[Claim[Losses], ...] = (
    Claim(
        name="loss at step 1",
        quote="the training loss at step 1 was extremely high (around 80)",
        measurement="training loss at step 1 with N(0, 1) embeddings",
        rule="holds if it lies within a factor of 2 of 80; in part if it is more than twice that "
        "with N(0, 0.02)",
        measure=_first_loss,
    ),
    Claim(
        name="a long tail",
        quote="Even after 1000 steps, the run with std = 0.02 still achieves a consistently lower "
        "loss",
        measurement=f"mean training loss after step {TAIL:,}, default minus N(0, 0.02)",
        rule="holds if the interval over seeds lies above 0; in part if it contains 0",
        measure=_tail,
    ),
    Claim(
        name="similar in the end",
        quote="Both runs appear to converge toward similar values eventually",
        measurement="the same difference in the last tenth",
        rule=f"holds if its interval lies within {CLOSE} of 0; in part if the gap is less than "
        "half of that at steps 101 to 200",
        measure=_converge,
    ),
    Claim(
        name="no positions: overfits",
        quote="Removing positional embeddings entirely did not prevent the model from reaching "
        "very low training loss",
        measurement="final training loss on few stories, without minus with positions",
        rule=f"holds if the interval lies below {2 * CLOSE:g} and the validation loss more than 1 "
        "nat above the training loss; in part with the second alone",
        measure=_overfits,
    ),
    Claim(
        name="no positions: generalises worse",
        quote="On larger corpora, where syntax, word order, and long-range structure dominate, "
        "positional information should become essential",
        measurement="validation loss on the whole text, without minus with positions",
        rule="holds if the interval over seeds lies above 0; in part if it contains 0",
        measure=_essential,
    ),
    Claim(
        name="untying",
        quote="the effect was negligible",
        measurement="validation loss, untied minus tied",
        rule=f"holds if the interval lies within {CLOSE} of 0; in part if it reaches in",
        measure=_untied,
    ),
    Claim(
        name="no residuals, one block",
        quote="With one Transformer block, training proceeds normally and converges quickly",
        measurement="final training loss minus the entropy of a character",
        rule="holds if the interval lies below −0.3; in part if it contains it",
        measure=_one_block,
    ),
    Claim(
        name="no residuals, two blocks",
        quote="With two blocks, learning is noticeably slower but still makes steady progress",
        measurement="the same, and against one block",
        rule="holds if it ends above one block with an interval above 0 and below the entropy with "
        "an interval below 0; in part with one of the two",
        measure=_two_blocks,
    ),
    Claim(
        name="no residuals, three blocks",
        quote="With three blocks, training fails almost entirely: loss remains near its initial "
        "value and shows no meaningful improvement",
        measurement="the same: who knows the frequencies of characters alone has 0",
        rule="holds if the interval lies above −0.1; in part if it contains it",
        measure=_three_blocks,
    ),
    Claim(
        name="vanishing gradients",
        quote="gradients must propagate through a deep chain of nonlinear transformations, quickly "
        "pushing the model into a vanishing-gradient regime",
        measurement="gradient norm of the first of three blocks over that of the last, without "
        "residual connections, median of the first 100 steps",
        rule="holds if the interval lies below 0.1; in part if it lies below 1",
        measure=_vanishing,
    ),
)
