"""What a page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lt_interp.methods.result import Result


class Drawing(NamedTuple):
    """A figure that is still to be drawn.

    Attributes:
        draw: Puts the data on the axis it is given; on a two-dimensional array of axes if there
            are several panels.
        size: Width and height in inches.
        panels: Rows and columns of axes.
    """

    draw: Callable[[Any], Any]
    size: tuple[float, float]
    panels: tuple[int, int] = (1, 1)


@dataclass(frozen=True, kw_only=True)
class Page:
    """How the saved result of one analysis becomes a page.

    Attributes:
        title: Its heading, and its name in the index.
        template: The file in `templates/`.
        context: What the template needs, as markdown that is ready to stand in it.
        drawings: The figures by file name; none for data that the result lacks.
        headline: The one sentence that the index quotes.
    """

    title: str
    template: str
    context: Callable[[Result], Mapping[str, Any]]
    drawings: Callable[[Result], Mapping[str, Drawing]]
    headline: Callable[[Result], str]
