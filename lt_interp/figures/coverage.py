"""How much of a corpus a vocabulary covers, by its size, ours beside the article's."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from lt_interp.article import article
from lt_interp.corpus.coverage import Coverage
from lt_interp.figures.save import ARTICLE, NEUTRAL, OURS, plain_log_axis

SIZE = (8.0, 4.8)
KEPT = 4093  # tokens of the article's vocabulary of 4,096 ids, three of them special
_FEWEST, _POINTS = 100, 200


def coverage_curve(coverage: Coverage, ax: Axes) -> Axes:
    """Share of a corpus made up of its n most frequent tokens, against n on a logarithmic axis.

    Args:
        coverage: The counted corpus.
        ax: Where to draw.

    Returns:
        The same axis; y is a percentage. Our line ends where every token is kept.
    """
    largest = len(coverage.cumulative)
    spaced = np.geomspace(min(_FEWEST, largest), largest, _POINTS).round().astype(int)
    sizes = np.unique(spaced).tolist()
    ours = [row["coverage_percent"] for row in coverage.by_top_n(sizes)]
    published = article()["tokenizer"]["coverage_percent_by_top_n"]
    plain_log_axis(ax, "x")
    ax.axvline(KEPT, color=NEUTRAL, linewidth=1.5, linestyle="--")
    ax.annotate(
        f"{KEPT:,} kept", (KEPT, 0.02), (5, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=NEUTRAL,
    )  # fmt: skip
    ax.plot(sizes, ours, color=OURS, label="this corpus")
    ax.plot(
        [int(n) for n in published], list(published.values()), "D", color=ARTICLE, markersize=7,
        markerfacecolor="white", markeredgewidth=2, label="the article's corpus",
    )  # fmt: skip
    ax.set_xlabel("tokens kept, most frequent first (logarithmic)")
    ax.set_ylabel("share of the corpus (%)")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1))
    return ax
