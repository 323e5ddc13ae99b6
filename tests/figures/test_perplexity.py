from __future__ import annotations

import numpy as np
import pytest

from lt_interp.figures.perplexity import perplexity_chart, size


def points(ax, label: str) -> list[tuple[float, float]]:
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return list(zip(line.get_xdata(), line.get_ydata()))


def bars(ax) -> list[list[tuple[float, float]]]:
    (container,) = ax.containers
    return [[tuple(end) for end in bar] for bar in container.lines[2][0].get_segments()]


def test_ours_are_the_first_row_of_each_stage(evolution, ax):
    perplexity_chart(evolution, ax)
    (container,) = ax.containers
    assert list(zip(*container.lines[0].get_data())) == [(250.0, 0), (9.0, 1), (8.5, 2)]


def test_bars_run_from_low_to_high(evolution, ax):
    perplexity_chart(evolution, ax)
    ends = [[(240.0, 0), (270.0, 0)], [(8.7, 1), (9.4, 1)], [(8.3, 2), (8.8, 2)]]
    assert np.allclose(bars(ax), ends)


def test_the_article_has_no_point_where_it_has_no_figure(evolution, ax):
    perplexity_chart(evolution, ax)
    assert points(ax, "the article") == [(270.8, 0), (8.1, 1)]


def test_further_seeds_stand_on_the_line_of_their_stage(evolution, ax):
    perplexity_chart(evolution, ax)
    assert points(ax, "ours, other seeds") == [(9.5, 1)]


def test_last_token_is_drawn_where_the_article_scored_it(evolution, ax):
    perplexity_chart(evolution, ax)
    assert points(ax, "ours, last token only") == [(260.0, 0)]


def test_names_stand_at_their_points_and_the_first_is_on_top(evolution, ax):
    perplexity_chart(evolution, ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["01 Bag of words", "10 + MoE", "10 + MoE, gated"]
    assert list(ax.get_yticks()) == [0, 1, 2]
    assert ax.yaxis_inverted()


def test_every_point_of_ours_carries_its_number(evolution, ax):
    perplexity_chart(evolution, ax)
    written = {text.get_text(): text.xy for text in ax.texts}
    assert written == {"250.0": (250.0, 0), "9.00": (9.0, 1), "8.50": (8.5, 2)}


def test_axis_is_logarithmic_and_shows_two_numbers_however_close_the_points(evolution, ax):
    table = evolution.tables["ladder"].iloc[[1]].assign(article_perplexity=None)
    evolution.tables["ladder"] = table.astype({"article_perplexity": float})
    perplexity_chart(evolution, ax)
    low, high = ax.get_xlim()
    assert ax.get_xscale() == "log"
    assert sum(low <= tick <= high for tick in ax.get_xticks()) >= 2


def test_interval_that_is_missing_leaves_the_point(evolution, ax):
    ladder = evolution.tables["ladder"].iloc[[0]]
    evolution.tables["ladder"] = ladder.assign(perplexity_low=np.nan, perplexity_high=np.nan)
    perplexity_chart(evolution, ax)
    assert list(ax.containers[0].lines[0].get_xdata()) == [250.0]


def test_returns_the_axis_and_grows_with_the_ladder(evolution, ax):
    assert perplexity_chart(evolution, ax) is ax
    three = size(evolution)[1]
    evolution.tables["ladder"] = evolution.tables["ladder"].iloc[:1]
    assert three - size(evolution)[1] == pytest.approx(2 * 0.42)
