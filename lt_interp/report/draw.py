"""One figure of a result, for a notebook: the same that its page shows."""

from __future__ import annotations

from lt_interp.errors import InputError
from lt_interp.figures.inline import InlineFigure
from lt_interp.figures.save import draw_figure, style
from lt_interp.methods.result import Result
from lt_interp.report.build import PAGES


def draw(result: Result, name: str | None = None) -> InlineFigure:
    """Draw a figure of a result.

    Args:
        result: What `lt_interp.analyze` returned, or `Result.load` read.
        name: Which, as the pages name it, without `.svg`; the page's first by default.

    Returns:
        The figure; the last line of a cell shows it, and `savefig` writes it.

    Raises:
        InputError: The result has no figure of that name, or none at all; the message lists them.

    Example:
        >>> import lt_interp as lt
        >>> lt.draw(lt.analyze("attention", "09_multi_head"), "heads")  # doctest: +SKIP
    """
    if result.name not in PAGES:
        raise InputError(f"{result.name!r} is no analysis with figures: {', '.join(PAGES)}")
    drawings = {
        file.removesuffix(".svg"): drawing
        for file, drawing in PAGES[result.name].drawings(result).items()
    }
    if not drawings:
        raise InputError(f"this result of {result.name} has no figure: nothing was measured")
    chosen = next(iter(drawings)) if name is None else name
    if chosen not in drawings:
        raise InputError(f"{result.name} has no figure {chosen!r}; allowed: {', '.join(drawings)}")
    drawing = drawings[chosen]
    with style():
        return draw_figure(InlineFigure, drawing.draw, size=drawing.size, panels=drawing.panels)
