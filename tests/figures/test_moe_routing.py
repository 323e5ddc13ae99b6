"""The figures of routing show the numbers of the tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lt_interp.figures.moe_routing import run_label, specialisation
from lt_interp.figures.moe_routing_causal import other_expert
from lt_interp.figures.moe_routing_tokens import token_shares
from lt_interp.figures.moe_routing_words import article_words
from lt_interp.figures.save import style
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import (
    OVER_SHARE,
    RANDOM,
    TOKEN_SHARE,
    UNTRAINED,
    WITHOUT_CONTEXT,
)

RUNS = (("10_moe", "10_moe", 0), ("10_moe-seed1", "10_moe", 1), ("10_moe_gated", "10_moe_gated", 0))


def rows_of_runs(rows: list[dict]) -> pd.DataFrame:
    names = ("checkpoint", "stage", "train_seed")
    return pd.DataFrame([{**dict(zip(names, run)), **row} for run in RUNS for row in rows])


@pytest.fixture
def result() -> Result:
    nulls = [
        {"layer": layer, "null": null, "statistic": statistic, "value": 0.6,
         "null_mean": 0.4 + 0.1 * place, "null_low": 0.3, "null_high": 0.7, "n_draws": 20}
        for layer in ("0", "1", "pooled")
        for place, null in enumerate((RANDOM, UNTRAINED, WITHOUT_CONTEXT))
        for statistic in (TOKEN_SHARE, OVER_SHARE)
    ]  # fmt: skip
    tokens = [
        {"layer": layer, "token": token, "n_decisions": n, "expert": expert, "share": share,
         "discovery": share > 0.7}
        for layer in ("0", "1", "pooled")
        for token, n, expert, share in (
            ("\n", 900, 0, 0.95), (" a$b", 400, 1, 0.6), (".", 150, 1, 1.0)
        )
    ]  # fmt: skip
    causal = [
        {"layer": layer, "intervention": what, "token_class": name, "loss_change_nats": change,
         "low": change - 0.1, "high": change + 0.2}
        for layer in ("0", "1", "all")
        for what in ("sent to the other expert", "all to expert 0")
        for name, change in (("all", 0.3), ("verb", 0.5))
    ]  # fmt: skip
    words = [
        {"word": word, "article_expert": expert, "article_share": share,
         "article_printed": printed, "share": ours}
        for word, expert, share, printed, ours in (
            (" sorry", 1, 1.0, 1.0, 0.2), (" sad", 1, 0.92, 0.968, None),
            (" off", 0, 0.84, None, 0.5), (" cat", 1, 0.9, None, 0.7),
        )
    ]  # fmt: skip
    tables = {"nulls": nulls, "tokens": tokens, "causal": causal, "article_words": words}
    return Result(
        name="moe_routing", tables={name: rows_of_runs(rows) for name, rows in tables.items()}
    )


@pytest.fixture(autouse=True)
def styled() -> Iterator[None]:
    with style():
        yield


def axes_of(rows: int, columns: int) -> np.ndarray:
    return Figure(layout="constrained").subplots(rows, columns, squeeze=False)


def by_label(ax) -> dict:
    return {line.get_label(): line for line in ax.get_lines()}


def test_specialisation_has_a_line_for_every_layer_and_run(result: Result) -> None:
    ax = specialisation(result, axes_of(1, 2))[0, 0]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(labels) == 6
    assert labels[:3] == ["10 + MoE, seed 0, layer 0", "10 + MoE, seed 0, layer 1",
                          "10 + MoE, seed 1, layer 0"]  # fmt: skip
    lines = by_label(ax)
    assert_allclose(lines["its own router"].get_xdata(), 0.6)
    assert_allclose(lines["its own router on embeddings alone"].get_xdata(), 0.6)
    spans = [path.vertices[:, 0] for path in ax.collections[0].get_paths()]
    assert_allclose(spans, [[0.3, 0.7]] * 6)
    assert ax.collections[0].get_label().startswith("20 random routers")
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first run on top


def test_every_token_of_the_first_runs_is_a_mark(result: Result) -> None:
    axes = token_shares(result, axes_of(2, 2))
    titles = [ax.get_title(loc="left") for ax in axes.ravel()]
    assert titles == [f"{stage}, seed 0, layer {layer}" for stage in ("10 + MoE", "10 + MoE, gated")
                      for layer in (0, 1)]  # fmt: skip
    lines = by_label(axes[0, 0])
    assert_allclose(lines["expert 0"].get_xydata(), [[900, 0.95]])
    assert_allclose(lines["expert 1"].get_xydata(), [[150, 1.0]])
    hollow = lines["expert 1, not told from the load"]
    assert_allclose(hollow.get_xydata(), [[400, 0.6]])
    assert hollow.get_markerfacecolor() == "none"
    assert {text.get_text() for text in axes[0, 0].texts} == {"⏎", "·a$b", "."}


def test_the_articles_words_are_those_it_printed_and_those_of_expert_0(result: Result) -> None:
    ax = article_words(result, axes_of(1, 1)[0, 0])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "·sorry  (expert 1)", "·sad  (expert 1)", "·off  (expert 0)"
    ]  # fmt: skip
    lines = by_label(ax)
    assert_allclose(lines["article"].get_xydata(), [[1.0, 0], [0.92, 1], [0.84, 2]])
    assert_allclose(np.unique(lines["10 + MoE"].get_xydata(), axis=0), [[0.2, 0], [0.5, 2]])
    assert len(lines["10 + MoE"].get_xydata()) == 4  # two runs
    assert len(lines["10 + MoE, gated"].get_xydata()) == 2


def test_causal_panels_show_the_other_expert_alone(result: Result) -> None:
    axes = other_expert(result, axes_of(1, 3))
    assert [ax.get_title(loc="left") for ax in axes[0]] == ["layer 0", "layer 1", "all layers"]
    assert [tick.get_text() for tick in axes[0, 0].get_yticklabels()] == ["all", "verb"]
    for bars in axes[0, 1].containers:
        assert_allclose(bars.lines[0].get_xdata(), [0.3, 0.5])
        ends = bars.lines[2][0].get_segments()
        assert_allclose([segment[:, 0] for segment in ends], [[0.2, 0.5], [0.4, 0.7]])


def test_a_run_without_a_seed_is_named_by_its_stage() -> None:
    assert run_label("10_moe", None) == "10 + MoE"
    assert run_label("10_moe_gated", 2) == "10 + MoE, gated, seed 2"
