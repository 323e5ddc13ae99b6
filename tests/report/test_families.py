"""The pages of the further articles, from results made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from lt_interp.figures import ablations as ablations_figure
from lt_interp.figures.kv_cache import time_and_memory
from lt_interp.figures.length import loss_by_position
from lt_interp.figures.save import style
from lt_interp.methods.claims import CLAIMS
from lt_interp.methods.parameter_table import compared
from lt_interp.methods.result import Result, make_table
from lt_interp.report.build import build_pages
from lt_interp.report.components import total_sentence
from lt_interp.stages import STAGES

from .conftest import meta

SAYS = {"gpt": "all parts", "pytorch_default": "N(0, 1)", "no_positions": "no positions",
        "untied": "untied", "post_norm": "post-norm", "few": "few", "few_no_positions": "few, no",
        "no_residual_1": "one", "no_residual_2": "two", "no_residual_3": "three"}  # fmt: skip


def components(stage: str) -> Result:
    rows = [{"stage": stage, **row} for row in compared(stage, STAGES[stage].config)]
    table = pd.DataFrame(rows).astype({"article_parameters": "Int64", "difference": "Int64"})
    return Result(name="components", tables={"components": table}, meta=meta([stage]))


def ablations() -> Result:
    steps = [(1, 1), (2, 5), (6, 20)]
    losses = [
        {"arm": arm, "first_step": first, "last_step": last, "train_loss_nats": 4.0 / last + place,
         "low": 3.9 / last + place, "high": 4.2 / last + place, "n_seeds": 2}
        for place, arm in enumerate(SAYS, 1) for first, last in steps
    ]  # fmt: skip
    gradients = [
        {"arm": arm, "seed": seed, "first_step": first, "last_step": last, "block": block,
         "gradient_norm": 10.0 ** (block + seed)}
        for arm in ("gpt", "no_residual_3") for seed in (0, 2) for first, last in steps
        for block in range(3)
    ]  # fmt: skip
    runs = [
        {"arm": arm, "says": says, "stage": "char_gpt", "seed": seed,
         "parameters": 1000 + 128 * (arm == "untied"), "tokens_seen": 9, "first_loss_nats": 4.0,
         "train_loss_nats": 2.0, "val_loss_nats": 2.5 + seed, "seconds": 1.0}
        for arm, says in SAYS.items() for seed in (0, 1)
    ]  # fmt: skip
    differences = [
        {"arm": "post_norm", "against": "gpt", "measure": "validation", "difference_nats": 0.2,
         "low": 0.1, "high": 0.3, "n_seeds": 2}
    ]  # fmt: skip
    claim = {"claim": "untying", "quote": "negligible", "measurement": "a loss", "rule": "a rule",
             "value": 0.01, "low": 0.0, "high": 0.02, "unit": "nats a character", "n": 2,
             "n_of": "seeds", "verdict": "holds", "reason": "a reason"}  # fmt: skip
    tables = {
        "losses": pd.DataFrame(losses), "gradients": pd.DataFrame(gradients),
        "runs": pd.DataFrame(runs), "differences": pd.DataFrame(differences),
        "claims": make_table(CLAIMS, [claim]),
    }  # fmt: skip
    notes = {"steps": 20, "seeds": [0, 1], "batch_rows": 4, "row_tokens": 129,
             "few_characters": 5000, "unigram_nats": 2.8}  # fmt: skip
    return Result(name="ablations", tables=tables, meta={**meta(["char_gpt"]), "notes": notes})


def lengths(difference: float = 1.336) -> Result:
    losses = [
        {"stage": stage, "first_position": first, "last_position": first + 63,
         "loss_nats": 5 + slope * first, "low": 4.9 + slope * first, "high": 5.1 + slope * first,
         "n_stories": 9}
        for stage, slope in (("gpt_learned", 0.01), ("gpt_alibi", -0.001))
        for first in (1, 65, 129, 193)
    ]  # fmt: skip
    runs = [
        {"stage": stage, "adds": "a", "seed": 0, "tokens_seen": 10, "val_loss_nats": 5}
        for stage in ("gpt_learned", "gpt_alibi")
    ]
    rises = [
        {"stage": stage, "first_position": 33, "last_trained_position": 128, "last_position": 256,
         "trained_loss_nats": 5.0, "beyond_loss_nats": 5 + rise, "rise_nats": rise,
         "low": rise - 0.1, "high": rise + 0.1, "n_stories": 9}
        for stage, rise in (("gpt_learned", 1.28), ("gpt_alibi", -0.056))
    ]  # fmt: skip
    differences = [
        {"stage": "gpt_learned", "against": "gpt_alibi", "difference_nats": difference,
         "low": difference - 0.05, "high": difference + 0.05, "n_stories": 9}
    ]  # fmt: skip
    tables = {
        "losses": pd.DataFrame(losses), "runs": pd.DataFrame(runs), "rises": pd.DataFrame(rises),
        "rise_differences": pd.DataFrame(differences),
    }  # fmt: skip
    notes = {"trained_on": 128, "read": 257, "steps": 150}
    about = {**meta(["gpt_learned"]), "notes": notes}
    return Result(name="length_generalisation", tables=tables, meta=about)


def cache() -> Result:
    tokens = [
        {"stage": stage, "length": n, "kept_seconds": 0.001, "read_again_seconds": 1e-4 * n,
         "ratio": 0.1 * n, "cache_bytes": 2**20 * n, "max_abs_logit_difference": 1e-6,
         "largest_logit": 10.0}
        for stage in ("char_gpt", "gpt_learned") for n in (16, 64)
    ]  # fmt: skip
    about = {"command": "python analyses/kv_cache.py", "notes": {"times": "median"}, "seed": 3,
             "versions": {"torch": "2.13.0", "python": "3.11.7"}}  # fmt: skip
    return Result(name="kv_cache", tables={"tokens": pd.DataFrame(tokens)}, meta=about)


def two_sentences() -> Result:
    losses = [
        {"stage": "byte_gpt", "steps": steps, "step": step, "train_loss_nats": 5.6 / step}
        for steps in (5, 20) for step in range(1, steps + 1)
    ]  # fmt: skip
    samples = [
        {"stage": "byte_gpt", "steps": steps, "prompt": "The cat", "sample": "<b>sat</b>"}
        for steps in (5, 20)
    ]
    tables = {"losses": pd.DataFrame(losses), "samples": pd.DataFrame(samples)}
    return Result(name="two_sentences", tables=tables, meta=meta(["byte_gpt"]))


@pytest.fixture
def pages(tmp_path, evolution):
    """The ladder's front page, and every further article's."""
    results = {
        "numpy_gpt": [components("byte_gpt"), two_sentences()],
        "char_ablations": [ablations()],
        "four_layer_gpt": [components("gpt_learned"), lengths(), cache()],
    }
    for family, some in results.items():
        for result in some:
            result.save(tmp_path / family / result.name)
        build_pages(tmp_path / family, family=family)
    evolution().save(tmp_path / "evolution")
    build_pages(tmp_path)
    return tmp_path


def test_front_pages_link_to_every_page_and_figure(pages):
    found = 0
    for page in pages.rglob("*.md"):
        for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text("utf-8")):
            for child in token.children or []:
                link = child.attrGet("src") or child.attrGet("href")
                if link:
                    assert (page.parent / link).is_file(), (page, link)
                    found += 1
    assert found > 20
    front = (pages / "index.md").read_text("utf-8")
    for family in ("numpy_gpt", "char_ablations", "four_layer_gpt"):
        assert f"({family}/index.md)" in front


def test_pages_say_what_was_measured(pages):
    ablated = (pages / "char_ablations" / "ablations" / "report.md").read_text("utf-8")
    assert "Untying costs 128 parameters, 12.8% of 1,000." in ablated
    assert "Post-norm is worse than pre-norm" in ablated
    read_long = (pages / "four_layer_gpt" / "index.md").read_text("utf-8")
    assert "<code>gpt_learned</code> +1.280 (+1.180 to +1.380) nats, a rise" in read_long
    assert "<code>gpt_alibi</code> −0.056 (−0.156 to +0.044) nats, no clear change" in read_long
    assert "trained anew, 150 steps each; none is the shipped checkpoint" in read_long
    assert "after 64 tokens the next one 6.4" in read_long
    times = (pages / "four_layer_gpt" / "kv_cache" / "report.md").read_text("utf-8")
    assert "- Seed of weights and tokens: 3\n- Versions: torch 2.13.0, python 3.11.7\n" in times
    sentences = (pages / "numpy_gpt" / "two_sentences" / "report.md").read_text("utf-8")
    assert "<b>sat" not in sentences
    assert "&lt;b&gt;sat" in sentences


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.5, "+0.500 (+0.450 to +0.550) nats, rises more."),
        (-0.5, "−0.500 (−0.550 to −0.450) nats, rises less."),
        (0.04, "+0.040 (−0.010 to +0.090) nats, no clear change."),
    ],
)
def test_a_rise_is_compared_only_as_far_as_its_interval_goes(tmp_path, difference, said):
    lengths(difference).save(tmp_path / "length_generalisation")
    build_pages(tmp_path, family="four_layer_gpt")
    page = (tmp_path / "length_generalisation" / "report.md").read_text("utf-8")
    assert f"<code>gpt_learned</code> against <code>gpt_alibi</code>: {said}" in page


def test_the_same_results_give_the_same_bytes(pages):
    before = {path: path.read_bytes() for path in pages.rglob("*.*") if path.suffix != ".json"}
    for path in before:
        if path.suffix in (".md", ".svg"):
            path.unlink()
    for family in ("numpy_gpt", "char_ablations", "four_layer_gpt"):
        build_pages(pages / family, family=family)
    build_pages(pages)
    assert {path: path.read_bytes() for path in before} == before


def test_totals_are_compared_with_the_articles():
    byte, four, char = (
        components(stage).tables["components"] for stage in ("byte_gpt", "gpt_learned", "char_gpt")
    )
    assert total_sentence(byte).endswith("222,784 parameters, exactly the article's number.")
    assert "5,841,408, 5,120 fewer: feed-forward biases (+1,280 a block)" in total_sentence(four)
    assert "its article gives no exact count" in total_sentence(char)


@pytest.fixture
def axes():
    with style():
        yield Figure().subplots(1, 2, squeeze=False)


def test_figures_hold_the_tables(axes):
    ax = ablations_figure.loss_by_step(ablations(), axes[0, 0], arms=("gpt", "untied"))
    drawn = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert drawn == {"all parts": [5.0, 1.8, 1.2], "untied": [8.0, 4.8, 4.2]}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    ax = loss_by_position(lengths(), axes[0, 1])
    assert ax.lines[0].get_xdata().tolist() == [32.5, 96.5, 160.5, 224.5]


def test_gradients_are_geometric_means_over_seeds(axes):
    ablations_figure.gradients(ablations(), axes)
    first = axes[0, 0].lines
    assert [line.get_label() for line in first] == ["block 0", "block 1", "block 2"]
    np.testing.assert_allclose(first[1].get_ydata(), 100.0)  # of 10 and 1,000


def test_a_cache_is_drawn_in_milliseconds_and_mebibytes(axes):
    time_and_memory(cache(), axes)
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes[0, 0].lines}
    assert drawn["gpt_learned, kept"] == pytest.approx([1.0, 1.0])
    assert drawn["gpt_learned, read again"] == pytest.approx([1.6, 6.4])
    assert axes[0, 1].lines[1].get_ydata().tolist() == [16.0, 64.0]


def test_a_result_of_one_stage_without_a_count_has_a_page(tmp_path):
    result = components("char_gpt")
    dataclasses.replace(result).save(tmp_path / "components")
    build_pages(tmp_path, family="char_ablations")
    assert "gives no exact count" in (tmp_path / "index.md").read_text("utf-8")
