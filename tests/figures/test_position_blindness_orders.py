"""The ladder of shuffled prefixes and the panels of swaps show the rows of their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lt_interp.figures.position_blindness_distance import (
    distance_panels,
    panels,
    seeing_stages,
    size,
)
from lt_interp.figures.position_blindness_ladder import order_ladder
from lt_interp.methods.result import Result


@pytest.fixture
def result() -> Result:
    permutations = pd.DataFrame({
        "stage": ["04_attention", "04_attention", "05_attn_position", "05_attn_position"],
        "weights": ["trained", "untrained"] * 2,
        "kl_nats": [1e-14, 0.0, 0.5, 0.02], "kl_low": [1e-15, 0.0, 0.4, None],
        "kl_high": [1e-13, 0.0, 0.7, None], "kl_bound_nats": [1e-6, 1e-9, 2e-6, 1e-9],
        "reference_kl_nats": [0.06, 0.001, None, 0.03], "reference_low": [0.02, 0.0, None, 0.02],
        "reference_high": [0.1, 0.002, None, 0.05],
    })  # fmt: skip
    swaps = pd.DataFrame([
        {"stage": stage, "weights": weights, "distance": distance, "kl_nats": kl / distance,
         "low": 0.5 * kl / distance, "high": 2 * kl / distance, "bound": 0.002,
         "max_abs_logit_difference": 10 * kl}
        for stage, kl in (("04_attention", 1e-9), ("05_attn_position", 0.1), ("06_ffn", 0.2))
        for weights in ("trained", "untrained") for distance in (1, 4, 16)
    ])  # fmt: skip
    return Result(name="position_blindness", tables={"permutations": permutations, "swaps": swaps})


def test_ladder_points_are_the_means_and_bars_their_intervals(result, ax):
    assert order_ladder(result, ax) is ax
    found = {bars.get_label(): bars for bars in ax.containers}
    points = {name: list(zip(*bars[0].get_data())) for name, bars in found.items()}
    assert points == {
        "shuffled, trained": [(1e-14, 0), (0.5, 1)],
        "shuffled, untrained": [(0.0, 0), (0.02, 1)],
        "another story": [(0.06, -0.22)],  # of the trained stage, where there is one
    }
    (spans,) = found["shuffled, trained"][2]
    assert np.allclose(spans.get_segments()[1], [[0.4, 1], [0.7, 1]])
    (open_ends,) = found["shuffled, untrained"][2]
    assert np.allclose(open_ends.get_segments()[1], [[0.02, 1], [0.02, 1]])
    (ticks,) = [line for line in ax.lines if line.get_label() == "rounding bound"]
    assert list(zip(*ticks.get_data())) == [(1e-6, 0), (2e-6, 1)]
    assert ax.get_xlim()[0] < 0
    assert [label.get_text() for label in ax.get_yticklabels()] == ["04 + Attention",
                                                                    "05 + Position"]  # fmt: skip


def test_panels_are_the_stages_that_a_swap_moves(result):
    assert seeing_stages(result) == ["05_attn_position", "06_ffn"]
    assert panels(result) == (1, 3)
    assert size(result)[1] < 4


def test_panel_lines_are_the_means_and_bands_the_intervals(result):
    axes = Figure().subplots(1, 3, squeeze=False)
    distance_panels(result, axes)
    first, second, unused = axes.ravel()
    assert (first.get_title(loc="left") or first.get_title()) == "05 + Position"
    lines = {line.get_label(): line for line in second.lines}
    assert list(lines["trained"].get_xdata()) == [1, 4, 16]
    assert np.allclose(lines["trained"].get_ydata(), [0.2, 0.05, 0.0125])
    assert np.allclose(lines["rounding bound"].get_ydata(), 2e-6)
    band = second.collections[1].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.5 * 0.0125)
    assert band[:, 1].max() == pytest.approx(0.4)
    assert first.get_ylim() == second.get_ylim()
    assert not unused.get_visible()
