"""How fast two sentences are learned."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS
from lt_interp.methods.result import Result

SIZE = (7.5, 4.2)


def loss_by_step(result: Result, ax: Axes) -> Axes:
    """Training loss of the longest run; the article's steps and the loss of a guess are marked."""
    losses = result.tables["losses"]
    longest = losses[losses["steps"] == losses["steps"].max()]
    ax.plot(longest["step"], longest["train_loss_nats"], color=OURS)
    ax.axhline(math.log(256), color=NEUTRAL, linestyle=":", label="a guess among 256 bytes")
    ax.axvline(losses["steps"].min(), color=ARTICLE, linestyle="--", label="the article's steps")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step")
    ax.set_ylabel("training loss, nats a byte")
    ax.legend()
    return ax
