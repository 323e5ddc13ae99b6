"""Sentences about what it costs to send tokens to another expert."""

from __future__ import annotations

import pandas as pd

from lt_interp.report.markdown import listing, plain
from lt_interp.report.moe_routing_text import GATED
from lt_interp.report.numbers import nats
from lt_interp.report.text import name


def causal_sentence(causal: pd.DataFrame, stage: str) -> str:
    """What it costs to send every token to the other expert."""
    mine = causal[(causal["stage"] == stage) & (causal["token_class"] == "all")]
    other = mine[mine["intervention"] == "sent to the other expert"]
    if other.empty:
        return f"{name(stage)}: nothing was sent elsewhere."
    last = other[other["layer"] == other["layer"].iloc[-1]]
    costly = int((last["low"] > 0).sum())
    by_layer = [
        f"{nats(some['loss_change_nats'].mean())} in layer {plain(layer)}"
        for layer, some in other.groupby("layer", sort=False)
        if layer != "all"
    ]
    return (
        f"{name(stage)}: with every token sent to the other expert the loss changes by "
        f"{nats(last['loss_change_nats'].mean())} nats (mean over runs); the interval lies above "
        f"zero in {costly} of {len(last)} {'run' if len(last) == 1 else 'runs'}. By layer: "
        f"{listing(by_layer)}.{_caution(stage)}"
    )


def _caution(stage: str) -> str:
    """What the figures hold beside the choice of the expert."""
    others = (
        " All tokens are sent elsewhere at once: below the last layer a token's figure also holds "
        "what was done to the tokens before it. By class, only tokens of the class are sent."
    )
    if stage != GATED:
        return others
    return (
        " Here a token that is sent elsewhere is also multiplied by the other expert's smaller "
        "probability, which weakens the layer's output whatever the expert does: the figure is not "
        f"like for like with the ungated stage's.{others}"
    )
