"""What it costs to send tokens to the other expert, by the class of the token."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import main_runs, stage_label
from lt_interp.figures.moe_routing_words import STYLES
from lt_interp.figures.save import NEUTRAL, legend_below
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import OTHER_EXPERT


def shown(result: Result) -> pd.DataFrame:
    """The first run of every stage, tokens sent to the other expert."""
    causal = result.tables["causal"]
    first = main_runs(causal)["checkpoint"]
    return causal[causal["checkpoint"].isin(first) & (causal["intervention"] == OTHER_EXPERT)]


def panels(result: Result) -> tuple[int, int]:
    """One row; a column for every layer, and one for all at once."""
    return 1, shown(result)["layer"].nunique()


def size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every class."""
    causal = shown(result)
    return 2.0 + 3.8 * causal["layer"].nunique(), 2.2 + 0.45 * causal["token_class"].nunique()


def other_expert(result: Result, axes: np.ndarray) -> np.ndarray:
    """One panel a layer: change of the loss in nats with its interval.

    Args:
        result: With its table `causal`.
        axes: As many as `panels` says.
    """
    causal = shown(result)
    classes = list(causal["token_class"].unique())
    for ax, layer in zip(axes[0], causal["layer"].unique()):
        _panel(ax, causal[causal["layer"] == layer], classes)
        ax.set_title("all layers" if layer == "all" else f"layer {layer}")
        ax.set_xlabel("change of the loss, nats")
        ax.locator_params(axis="x", nbins=4)
    for ax in axes[0, 1:]:
        ax.set_yticklabels([])
    legend_below(axes[0, 0], 3)
    return axes


def _panel(ax: Axes, causal: pd.DataFrame, classes: list[str]) -> None:
    stages = list(causal["stage"].unique())
    for place, ((colour, marker), stage) in enumerate(zip(STYLES, stages)):
        mine = causal[causal["stage"] == stage]
        y = mine["token_class"].map(classes.index).to_numpy(float)
        y = y + 0.24 * (place - (len(stages) - 1) / 2)
        x = mine["loss_change_nats"].to_numpy(float)
        ax.errorbar(
            x, y, xerr=[x - mine["low"].to_numpy(float), mine["high"].to_numpy(float) - x],
            fmt=marker, color=colour, markersize=6, capsize=3, label=stage_label(stage),
        )  # fmt: skip
    ax.axvline(0, color=NEUTRAL, linewidth=1.3)
    ax.set_yticks(range(len(classes)), classes)
    ax.set_ylim(len(classes) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
