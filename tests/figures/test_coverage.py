"""The coverage figure shows the numbers it was given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from lt_interp.article import article
from lt_interp.corpus.coverage import Coverage
from lt_interp.figures.coverage import coverage_curve


def drawn(counts: list[int]) -> dict[str, np.ndarray]:
    """The points [n, 2] of every labelled line."""
    cumulative = np.cumsum(np.array(counts, dtype=np.int64))
    coverage = Coverage(n_tokens=int(cumulative[-1]), cumulative=cumulative)
    ax = coverage_curve(coverage, Figure().subplots())
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.get_lines()}


def test_our_line_is_the_share_of_the_most_frequent_tokens():
    # 1,000 tokens, all equally frequent: n of them cover n / 10 percent
    points = drawn([7] * 1000)["this corpus"]
    np.testing.assert_allclose(points[:, 1], points[:, 0] / 10)
    assert points[0, 0] == 100
    assert points[-1].tolist() == [1000, 100]


def test_a_corpus_of_a_single_token_can_be_drawn():
    assert drawn([5])["this corpus"].tolist() == [[1, 100]]


def test_the_articles_points_are_the_published_ones():
    points = drawn([3, 2, 1])["the article's corpus"]
    published = article()["tokenizer"]["coverage_percent_by_top_n"]
    assert {str(int(n)): pytest.approx(y) for n, y in points} == published
