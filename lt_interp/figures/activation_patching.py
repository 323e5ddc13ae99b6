"""How often each stage answers the prompt pairs, and which of its parts carry the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, SECOND, legend_above
from lt_interp.methods.result import Result

MOST = 14  # parts in a chart; more are in the table
FOCUS = "09_multi_head"  # the stage that the pairs were chosen with, if it was measured


def focus_stage(result: Result) -> str | None:
    """The stage that is shown in detail: 09, or the last one with anything to patch."""
    stages = list(result.tables["cells"]["stage"].unique())
    return FOCUS if FOCUS in stages else (stages[-1] if stages else None)


def stream_stages(result: Result) -> list[str]:
    """Stages whose cells include a residual stream: the ones that answer most pairs."""
    cells = result.tables["cells"]
    return list(cells.loc[cells["component"] == "resid_pre", "stage"].unique())


def part_label(component: str, layer: object, head: object, role: str | None = None) -> str:
    """A part as figures and pages name it, such as `"L0 H1 v"` or `"L1 attn_out, last"`."""
    place = "" if pd.isna(layer) else f"L{int(layer)} "  # type: ignore[call-overload]
    place += "" if pd.isna(head) else f"H{int(head)} "  # type: ignore[call-overload]
    return f"{place}{component}" + (f", {role}" if role and role != "all" else "")


def accuracy_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every stage."""
    return 9.0, 1.9 + 0.42 * len(result.tables["clean_accuracy"])


def accuracy_chart(result: Result, ax: Axes) -> Axes:
    """The share of pairs that each stage gets right in the clean run, with 95% intervals.

    Args:
        result: The activation patching, with its table `clean_accuracy`.
        ax: Where to draw.

    Returns:
        The same axis; the untrained stage and the half that guessing gets stand beside.
    """
    table = result.tables["clean_accuracy"]
    rows = np.arange(len(table))
    share = 100 * table["share_right"].to_numpy(float)
    below = share - 100 * table["low"].to_numpy(float)
    above = 100 * table["high"].to_numpy(float) - share
    ax.axvline(50, color=NEUTRAL, linewidth=1.5, label="guessing")
    ax.plot(
        100 * table["untrained_share_right"].to_numpy(float), rows, "D", color=ARTICLE,
        markersize=7, markerfacecolor="none", markeredgewidth=2, label="untrained",
    )  # fmt: skip
    ax.errorbar(
        share, rows, xerr=[below, above], fmt="o", color=OURS, markersize=7, capsize=4,
        label="trained",
    )  # fmt: skip
    ax.set_yticks(rows, [stage_label(stage) for stage in table["stage"]])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(min(30.0, float(share.min()) - 5), 102)
    ax.set_xlabel("pairs whose right answer lies above the wrong one (%)")
    legend_above(ax, "trained")
    return ax


def focus_parts(result: Result) -> pd.DataFrame:
    """The strongest parts of the stage in focus, at most `MOST`."""
    table = result.tables["important"]
    return table[table["stage"] == focus_stage(result)].head(MOST)


def parts_size(result: Result) -> tuple[float, float]:
    """Width and height in inches: a line for every part."""
    return 9.0, 1.9 + 0.42 * max(1, len(focus_parts(result)))


def parts_chart(result: Result, ax: Axes) -> Axes:
    """What each part carries on its own, the strongest on top.

    Args:
        result: With its table `important`.
        ax: Where to draw.

    Returns:
        The same axis: recovery when the part is restored, with its interval; what is lost when it
        is destroyed; and the recovery from a wrong donor.
    """
    table = focus_parts(result)
    rows = np.arange(len(table))
    value = table["recovery"].to_numpy(float)
    ends = [value - table["low"].to_numpy(float), table["high"].to_numpy(float) - value]
    ax.axvline(0, color=NEUTRAL, linewidth=1.5)
    ax.plot(
        table["donor_recovery"].to_numpy(float), rows, "D", color=ARTICLE, markersize=7,
        markerfacecolor="none", markeredgewidth=2, label="wrong donor",
    )  # fmt: skip
    ax.plot(
        1 - table["noising_recovery"].to_numpy(float), rows, "s", color=SECOND, markersize=9,
        markerfacecolor="none", markeredgewidth=2, label="lost when destroyed",
    )  # fmt: skip
    ax.errorbar(
        value, rows, xerr=ends, fmt="o", color=OURS, markersize=6, capsize=4,
        label="recovered when restored",
    )  # fmt: skip
    names = [
        part_label(row.component, row.layer, row.head, row.position_role)
        for row in table.itertuples()
    ]
    ax.set_yticks(rows, names)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("share of the logit difference between the two runs")
    legend_above(ax, "recovered when restored")
    return ax
