"""Figures that a notebook shows by themselves, in the look that they have on a page."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lt_interp.figures.save import style

DOTS_PER_INCH = 96  # an inch of a web page


class InlineFigure(Figure):
    """A figure that is a picture wherever it is the last line of a cell.

    It belongs to no window and to no pyplot, so that nothing has to be closed, no `%matplotlib`
    has to come first and the user's own figures are left alone. `savefig` works as usual.
    """

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # Before `_repr_png_` Jupyter would ask pyplot's backend, which knows nothing of the style.
        return {"image/png": self.png(), "text/plain": repr(self)}

    def png(self) -> bytes:
        """The picture."""
        with style():
            buffer = io.BytesIO()
            FigureCanvasAgg(self).print_figure(
                # its author's version would be another name for the same picture
                buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None},
            )  # fmt: skip
        return buffer.getvalue()
