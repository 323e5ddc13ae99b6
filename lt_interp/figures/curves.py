"""Validation perplexity against tokens seen, ours beside the article's published points."""

from __future__ import annotations

from matplotlib.axes import Axes

from lt_interp.figures.labels import stage_label
from lt_interp.figures.save import ARTICLE, OURS, plain_log_axis
from lt_interp.methods.result import Result

MILLION = 1_000_000
SIZE = (7.5, 4.6)


def stages_with_curves(result: Result) -> list[str]:
    """The stages that have a curve of ours and one of the article, in the article's order."""
    ours = set(result.tables["curves"]["stage"])
    return [stage for stage in result.tables["article_curves"]["stage"].unique() if stage in ours]


def training_curve(result: Result, ax: Axes, *, stage: str) -> Axes:
    """One line for every seed of ours, and the published points, on logarithmic axes.

    Args:
        result: The evolution, with its tables `curves` and `article_curves`.
        ax: Where to draw.
        stage: Which stage.

    Returns:
        The same axis; its x data are millions of predicted tokens.
    """
    curves = result.tables["curves"]
    curves = curves[curves["stage"] == stage]
    published = result.tables["article_curves"]
    published = published[published["stage"] == stage]
    for order, (seed, curve) in enumerate(curves.groupby("seed", sort=True)):
        ax.plot(
            curve["tokens_seen"] / MILLION, curve["perplexity"], color=OURS,
            alpha=1.0 if order == 0 else 0.45, marker="o", markersize=4, label=f"ours, seed {seed}",
        )  # fmt: skip
    ax.plot(
        published["tokens_seen"] / MILLION, published["perplexity"], ":", color=ARTICLE,
        marker="D", markersize=7, markerfacecolor="white", markeredgewidth=2, label="the article",
    )  # fmt: skip
    plain_log_axis(ax, "x")
    plain_log_axis(ax, "y")
    ax.set_xlabel("tokens seen (millions, logarithmic)")
    ax.set_ylabel("validation perplexity")
    ax.set_title(stage_label(stage))
    ax.legend(loc="upper right")
    return ax
