from __future__ import annotations

import numpy as np
from matplotlib.colors import to_hex

from lt_interp.figures.pairs import paired_differences
from lt_interp.figures.save import OURS


def test_points_and_bars_are_the_table(evolution, ax):
    assert paired_differences(evolution, ax) is ax
    points = [tuple(np.ravel(container.lines[0].get_data())) for container in ax.containers]
    ends = [container.lines[2][0].get_segments()[0][:, 0] for container in ax.containers]
    assert points == [(-0.01, 0), (-0.4, 1)]
    assert np.allclose(ends, [(-0.03, 0.02), (-0.45, -0.38)])


def test_a_point_is_filled_when_its_interval_excludes_zero(evolution, ax):
    paired_differences(evolution, ax)
    fills = [to_hex(container.lines[0].get_markerfacecolor()) for container in ax.containers]
    assert fills == ["#ffffff", OURS.lower()]


def test_a_line_marks_zero(evolution, ax):
    paired_differences(evolution, ax)
    assert [0, 0] in [list(line.get_xdata()) for line in ax.lines]


def test_names_say_which_stage_comes_after_which(evolution, ax):
    paired_differences(evolution, ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["04 + Attention, after 03", "05 + Position, after 04"]
