"""Figures as SVG files that are the same bytes every time they are drawn."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lt_interp.figures.visible import seen
from lt_interp.files import write_text

# seaborn's "colorblind" palette, by what each colour stands for on every page.
OURS, ARTICLE, SECOND, NEUTRAL = "#0173B2", "#DE8F05", "#CC78BC", "#56616B"

AnyFigure = TypeVar("AnyFigure", bound=Figure)

MARGIN = 0.2  # inches beside the text, for whoever sees it in a wider font than it was laid out in

_STEPS = (1, 2, 5)
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "lt_interp",  # ids inside the file are random without it
    "svg.fonttype": "none",  # letters stay letters: searchable, small, the same on every machine
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.parse_math": False,  # a dollar sign in a token is a dollar sign
}


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def save_svg(
    path: str | Path,
    draw: Callable[[Any], Any],
    *,
    size: tuple[float, float],
    panels: tuple[int, int] = (1, 1),
) -> None:
    """Draw on fresh axes and write the figure.

    Args:
        path: The `.svg` file.
        draw: Puts the data on the axis it is given, or on a two-dimensional array of axes if there
            are several panels.
        size: Width and height in inches.
        panels: Rows and columns of axes.
    """
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # letters are not drawn here
        figure = draw_figure(Figure, draw, size=size, panels=panels)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    write_text(path, seen(buffer.getvalue()))


def draw_figure(
    kind: type[AnyFigure],
    draw: Callable[[Any], Any],
    *,
    size: tuple[float, float],
    panels: tuple[int, int] = (1, 1),
) -> AnyFigure:
    """Draw on the fresh axes of a figure of some kind, to be called under `style`."""
    layout = ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=0.08)
    figure = kind(figsize=size, layout=layout, facecolor="white")
    draw(figure.subplots() if panels == (1, 1) else figure.subplots(*panels, squeeze=False))
    return figure


def plain_log_axis(ax: Axes, which: str) -> None:
    """Make an axis logarithmic, with ordinary numbers at 1, 2 and 5 of every decade.

    Args:
        ax: With its data drawn; a range that shows fewer than two of those numbers is widened.
        which: `"x"` or `"y"`.
    """
    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(LogLocator(base=10, subs=_STEPS, numticks=99))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(LogLocator(base=10, subs=(3, 4, 6, 7, 8, 9), numticks=99))
    axis.set_minor_formatter(NullFormatter())
    low, high = getattr(ax, f"get_{which}lim")()
    ticks = [step * 10.0**power for power in range(-6, 13) for step in _STEPS]
    if sum(low <= tick <= high for tick in ticks) < 2:
        below = max((tick for tick in ticks if tick <= low), default=low)
        above = min((tick for tick in ticks if tick >= high), default=high)
        getattr(ax, f"set_{which}lim")(below, above)


def legend_above(ax: Axes, first: str) -> None:
    """A legend in one line above the axis, beginning with the entry of that name."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: labels[place] != first)
    ax.legend(
        [handles[place] for place in order], [labels[place] for place in order],
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(order), columnspacing=1.2,
    )  # fmt: skip


def legend_below(ax: Axes, ncols: int) -> None:
    """A legend below all panels, of what this one of them draws."""
    handles, labels = ax.get_legend_handles_labels()
    ax.figure.legend(handles, labels, loc="outside lower center", ncols=ncols, columnspacing=1.5)
