from __future__ import annotations

import numpy as np

from lt_interp.figures.position_blindness import logit_differences


def points(ax) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data())) for line in ax.lines}


def test_points_are_the_rows_of_one_variant(blindness, ax):
    assert logit_differences(blindness, ax, variant="as printed") is ax
    assert points(ax) == {
        "rounding bound": [(0.001, 0), (0.003, 1)],
        "untrained": [(3.0, 0), (5.0, 1)],
        "trained": [(2.0, 0), (4.0, 1)],
    }


def test_grey_bars_span_the_unrelated_contexts(blindness, ax):
    logit_differences(blindness, ax, variant="as printed")
    (bars,) = ax.collections
    assert np.allclose(bars.get_segments(), [[(5, 0), (12, 0)], [(5, 1), (12, 1)]])


def test_an_exact_zero_is_inside_the_axis(blindness, ax):
    logit_differences(blindness, ax, variant="with a common last token")
    assert points(ax)["trained"] == [(0.0, 0), (1.5, 1)]
    assert ax.get_xlim()[0] < 0
    assert 0 in ax.get_xticks()
