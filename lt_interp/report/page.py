"""What a page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from lt_interp.methods.result import Result

# A figure that is still to be drawn: what draws it, and its width and height in inches.
Drawing = tuple[Callable[[Axes], Axes], tuple[float, float]]


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
