"""A figure that a notebook shows by itself."""

from __future__ import annotations

import io

import matplotlib as mpl
import matplotlib.image
import numpy as np
from matplotlib.figure import Figure

from lt_interp.figures.inline import DOTS_PER_INCH, InlineFigure
from lt_interp.figures.perplexity import perplexity_chart
from lt_interp.figures.save import draw_figure, style


def drawn(evolution, kind=InlineFigure, size=(6, 3)):
    with style():
        return draw_figure(kind, lambda ax: perplexity_chart(evolution, ax), size=size)


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))


def test_it_is_a_picture_of_the_size_that_was_asked_for(evolution):
    height, width, _ = pixels(drawn(evolution).png()).shape
    assert (width, height) == (6 * DOTS_PER_INCH, 3 * DOTS_PER_INCH)


def test_the_same_bytes_under_any_settings_of_the_user(evolution):
    first = drawn(evolution).png()
    with mpl.rc_context({"font.family": "monospace", "savefig.dpi": 30, "text.color": "red"}):
        assert drawn(evolution).png() == first


def test_it_is_shown_as_it_is_saved(evolution):
    other = io.BytesIO()
    with style():
        drawn(evolution, Figure).savefig(other, dpi=DOTS_PER_INCH)
    shown = pixels(drawn(evolution).png())
    np.testing.assert_array_equal(shown, pixels(other.getvalue()))
    assert shown[..., :3].min() < 0.2  # not an empty page


def test_no_figure_is_left_to_pyplot(evolution):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    drawn(evolution).png()
    assert plt.get_fignums() == before
