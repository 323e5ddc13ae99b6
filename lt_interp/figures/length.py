"""The loss at each position of rows longer than those that were trained on."""

from __future__ import annotations

from matplotlib.axes import Axes

from lt_interp.figures.bands import bands
from lt_interp.figures.save import NEUTRAL
from lt_interp.methods.result import Result

SIZE = (8.0, 4.6)


def loss_by_position(result: Result, ax: Axes) -> Axes:
    """A line for each way to tell positions, with intervals by story."""
    losses = result.tables["losses"]
    middle = (losses["first_position"] + losses["last_position"]) / 2
    losses = losses.assign(middle=middle)
    stages = losses["stage"].unique()
    bands(
        ax, {stage: losses[losses["stage"] == stage] for stage in stages}, x="middle",
        y="loss_nats", markers=True,
    )  # fmt: skip
    trained = result.meta["notes"]["trained_on"]
    ax.axvline(trained, color=NEUTRAL, linestyle="--", label=f"trained up to here ({trained})")
    ax.set_xlabel("position in the row, tokens")
    ax.set_ylabel("validation loss, nats a token")
    ax.legend()
    return ax
