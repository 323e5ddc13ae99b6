"""The ablations' figures: loss by step on logarithmic axes, and gradients by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lt_interp.figures.bands import COLOURS, bands
from lt_interp.figures.save import plain_log_axis
from lt_interp.methods.result import Result

SIZE, GRADIENTS_SIZE, GRADIENTS_PANELS = (8.0, 4.8), (11.0, 5.6), (1, 2)
DEEPEST, WITH_STREAM = "no_residual_3", "gpt"


def loss_by_step(result: Result, ax: Axes, *, arms: Sequence[str], unigram: bool = False) -> Axes:
    """Mean training loss of some arms, with its interval over seeds.

    Args:
        result: The ablations.
        ax: Where to draw.
        arms: Which.
        unigram: Whether to draw what is left to a model that knows frequencies alone.
    """
    losses = result.tables["losses"]
    says = dict(zip(result.tables["runs"]["arm"], result.tables["runs"]["says"], strict=True))
    # an interval of few seeds may reach below 0, which has no place on the axis
    losses = losses.assign(low=losses["low"].clip(lower=1e-2))
    bands(
        ax, {says[arm]: losses[losses["arm"] == arm] for arm in arms}, x="last_step",
        y="train_loss_nats",
    )  # fmt: skip
    if unigram:
        level = result.meta["notes"]["unigram_nats"]
        ax.axhline(level, color="black", linewidth=1, linestyle=":", label="character frequencies")
    means = losses.loc[losses["arm"].isin(arms), "train_loss_nats"]
    ax.set_ylim(means.min() / 1.15, means.max() * 1.15)
    plain_log_axis(ax, "x")
    plain_log_axis(ax, "y")
    ax.set_xlabel("step (logarithmic)")
    ax.set_ylabel("training loss, nats a character")
    ax.legend(fontsize=10)
    return ax


def gradients(result: Result, axes: np.ndarray) -> np.ndarray:
    """The norm of each block's gradient, without residual connections and with them.

    Args:
        result: The ablations.
        axes: Two, in one row.
    """
    table = result.tables["gradients"]
    for ax, arm in zip(axes.flat, (DEEPEST, WITH_STREAM), strict=True):
        here = table[table["arm"] == arm]
        for block, rows in here.groupby("block"):
            steps = rows.groupby("last_step")["gradient_norm"]
            mean = np.exp(steps.apply(lambda norms: np.log(norms).mean()))
            ax.plot(mean.index, mean, color=COLOURS[int(block)], label=f"block {block}")
        plain_log_axis(ax, "x")
        plain_log_axis(ax, "y")
        ax.set(xlabel="step (logarithmic)", title=_title(result, arm))
        ax.legend(fontsize=10)
    axes.flat[0].set_ylabel("gradient norm of a block")
    return axes


def _title(result: Result, arm: str) -> str:
    runs = result.tables["runs"]
    return str(runs.loc[runs["arm"] == arm, "says"].iloc[0])
