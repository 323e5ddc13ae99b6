"""The figures of the article's page show the numbers of its tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lt_interp.figures.article import (
    CLIP_NATS,
    expert_words,
    gains_heatmap,
    prompt_response,
)
from lt_interp.figures.save import OURS, style
from lt_interp.methods.result import Result

BY = ("all tokens", "token class")


@pytest.fixture
def ax() -> Axes:
    with style():
        yield Figure(layout="constrained").subplots()


@pytest.fixture
def result() -> Result:
    gains = pd.DataFrame({
        "stage": ["04_attention"] * 3 + ["05_attn_position"] * 3,
        "previous": ["03_bigram"] * 3 + ["04_attention"] * 3,
        "by": ["all tokens", "token class", "names"] * 2,
        "class": ["all", "verb", "name seen before"] * 2,
        "difference_nats": [-0.10, 0.40, -9.0, -1.5, -0.001, 9.0],
        "q": [0.01, 0.02, 0.01, 0.01, 0.9, 0.01],
    })  # fmt: skip
    response = pd.DataFrame({
        "stage": ["03_bigram", "04_attention"], "benefit_nats": [0.0, 0.05],
        "low": [0.0, 0.04], "high": [0.0, 0.07],
    })  # fmt: skip
    experts = pd.DataFrame({
        "stage": ["10_moe", "10_moe", "10_moe_gated", "10_moe_gated"],
        "word": ["sorry", "a\n", "sorry", "a\n"], "article_share": [1.0, 0.9] * 2,
        "share": [0.7, None, 0.3, 0.4], "low": [0.6, None, 0.2, 0.3],
        "high": [0.8, None, 0.4, 0.5], "load": [0.55, None, 0.45, 0.45],
    })  # fmt: skip
    tables = {"class_gains": gains, "response": response, "experts": experts}
    return Result(name="article", tables=tables)


def test_heatmap_holds_the_differences(ax: Axes, result: Result) -> None:
    gains_heatmap(result, ax, by=BY)
    mesh = ax.collections[0]
    assert_allclose(mesh.get_array(), [[-0.10, 0.40], [-1.5, -0.001]])
    assert mesh.get_clim() == (-CLIP_NATS, CLIP_NATS)  # white is zero
    assert [label.get_text() for label in ax.get_xticklabels()] == ["all", "verb"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "04 + Attention, after 03",
        "05 + Position, after 04",
    ]
    top, bottom = (ax.transData.transform((0, line))[1] for line in (0.5, 1.5))
    assert top > bottom  # the ladder is read from above


def test_certain_numbers_are_bold_and_others_in_brackets(ax: Axes, result: Result) -> None:
    gains_heatmap(result, ax, by=BY)
    written = {text.get_text(): text.get_fontweight() for text in ax.texts}
    assert written == {"−0.10": "bold", "+0.40": "bold", "−1.50": "bold", "(0.00)": "normal"}


def test_response_is_filled_only_where_certain(ax: Axes, result: Result) -> None:
    prompt_response(result, ax)
    points = [container.lines[0] for container in ax.containers]
    assert [float(point.get_xdata()[0]) for point in points] == [0.0, 0.05]
    assert [point.get_markerfacecolor() for point in points] == ["white", OURS]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["03 Bigram", "04 + Attention"]


def test_words_beside_the_articles(ax: Axes, result: Result) -> None:
    expert_words(result, ax)
    published = ax.lines[0]
    assert_allclose(published.get_xdata(), [1.0, 0.9])
    ours = [container.lines[0].get_xdata() for container in ax.containers]
    assert_allclose(ours[0], [0.7])
    assert_allclose(ours[1], [0.3, 0.4])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["sorry", "a⏎"]
    lowest, highest = ax.get_xlim()
    assert lowest < 0 < 1 < highest
    assert np.isfinite(ax.get_ylim()).all()
