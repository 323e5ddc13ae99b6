"""Figures that a notebook shows by themselves, in the look that they have on a page."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lt_interp.figures.save import style

DOTS_PER_INCH = 72


class InlineFigure(Figure):
    """A figure that is a picture wherever it is the last line of a cell.

    It belongs to no window and to no pyplot, so that nothing has to be closed, no `%matplotlib`
    has to come first and the user's own figures are left alone. `savefig` works as usual.
    """

    def _repr_png_(self) -> bytes:
        with style():
            buffer = io.BytesIO()
            metadata = {"Software": None}  # the same bytes under another version's name
            FigureCanvasAgg(self).print_figure(
                buffer, format="png", dpi=DOTS_PER_INCH, metadata=metadata
            )
        return buffer.getvalue()
