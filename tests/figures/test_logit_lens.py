from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lt_interp.figures import attribution as shares
from lt_interp.figures import lens_heatmap as heatmap
from lt_interp.figures import logit_lens as lens
from lt_interp.figures.save import OURS, style
from lt_interp.methods.result import Result

PRE, MID, POST = (f"blocks.0.hook_resid_{name}" for name in ("pre", "mid", "post"))
CELLS = [  # order, position, token, next, top, probability
    (0, 0, "A", " b\n", " c", 0.25),
    (0, 1, " b\n", None, " d", 0.5),
    (1, 0, "A", " b\n", " b\n", 0.75),
    (1, 1, " b\n", None, " unbelievably", 0.875),
]


@pytest.fixture
def result() -> Result:
    corpus = pd.DataFrame({
        "stage": ["06_ffn", "06_ffn", "07_block", "07_block", "07_block", "10_moe"],
        "point": ["hook_embed + hook_pos_embed", "blocks.0.hook_mlp_out", PRE, MID, POST, PRE],
        "order": [0, 1, 0, 1, 2, 0],
        "descriptive": [True, False, False, False, False, False],
        "loss_nats": [9.0, 4.0, 5.0, 4.5, 3.5, 5.5], "low": [8.5, 3.9, 4.9, 4.4, 3.4, 5.4],
        "high": [9.25, 4.2, 5.1, 4.6, 3.6, 5.6],
        "top1_accuracy": [0.0, 0.3, 0.1, 0.2, 0.35, 0.1],
        "top1_low": [0.0, 0.25, 0.05, 0.15, 0.3, 0.05],
        "top1_high": [0.05, 0.35, 0.15, 0.25, 0.4, 0.15],
    })  # fmt: skip
    baselines = pd.DataFrame({
        "baseline": ["uniform", "unigram"], "loss_nats": [8.25, 5.75], "top1_accuracy": [0.0, 0.07],
    })  # fmt: skip
    prompts = pd.DataFrame([
        {"stage": "07_block", "prompt": "A b\n", "order": order, "position": position,
         "token": token, "next_token": following, "point": [PRE, POST][order], "top_token": top,
         "top_probability": probability, "top_tokens": json.dumps([[top, probability]])}
        for order, position, token, following, top, probability in CELLS
    ])  # fmt: skip
    parts = pd.DataFrame({
        "stage": ["03_bigram", "03_bigram", "07_block", "07_block", "07_block", "07_block"],
        "component": ["embed", "b_U", "embed", "L0H0", "0_mlp_out", "b_U"],
        "contribution_logits": [4.0, 1.0, 2.0, -0.5, 0.25, 1.0],
        "shuffled_contribution_logits": [1.0, 1.0, 0.5, -0.001, 0.125, 1.0],
    })  # fmt: skip
    on_prompt = pd.DataFrame({
        "stage": "07_block", "prompt": "A b\n", "position": [0, 0], "next_token": " b\n",
        "component": ["embed", "b_U"], "contribution_logits": [-3.0, 0.5],
    })  # fmt: skip
    return Result(name="logit_lens", tables={
        "lens_corpus": corpus, "lens_baselines": baselines, "lens_prompts": prompts,
        "attribution": parts, "attribution_prompts": on_prompt,
    })  # fmt: skip


def panels(rows: int, columns: int) -> np.ndarray:
    with style():
        return Figure().subplots(rows, columns, squeeze=False)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_lines_and_bars_of_the_streams_are_the_table(result):
    axes = panels(1, 2)
    assert lens.loss_and_accuracy(result, axes) is axes
    for ax, column, low in zip(axes[0], ("loss_nats", "top1_accuracy"), ("low", "top1_low")):
        assert [c.get_label() for c in ax.containers] == ["07 + Residual/LN", "10 + MoE"]
        table = result.tables["lens_corpus"].query("stage == '07_block'")
        line, _, (bars,) = ax.containers[0].lines
        assert np.allclose(line.get_ydata(), table[column])
        assert np.allclose([s[0, 1] for s in bars.get_segments()], table[low])
        assert np.allclose(line.get_xdata(), [0, 1, 2], atol=0.2)
        labels = [label.get_text() for label in ax.get_xticklabels()]
        assert labels == ["embeddings", "attention 0", "FFN 0"]
    levels = {line.get_ydata()[0] for line in axes[0, 0].lines if len(set(line.get_ydata())) == 1}
    assert {8.25, 5.75} <= levels


def test_the_chains_are_open_where_they_are_descriptive(result, ax):
    assert lens.chain_losses(result, ax) is ax
    points = [tuple(np.ravel(container.lines[0].get_data())) for container in ax.containers]
    assert points == [(9.0, 0), (4.0, 1)]
    fills = [to_hex(container.lines[0].get_markerfacecolor()) for container in ax.containers]
    assert fills == ["#ffffff", OURS.lower()]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["06 + FFN: token + position", "06 + FFN: FFN 0"]
    assert lens.chain_size(result)[1] < 3


def test_a_heatmap_writes_the_top_token_into_each_cell(result, ax):
    which = {"stage": "07_block", "prompt": "A b\n"}
    assert heatmap.lens_heatmap(result, ax, **which) is ax
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {
        (0.5, 0.5): "·c", (1.5, 0.5): "·d", (0.5, 1.5): "·b⏎", (1.5, 1.5): "·unbelievably",
    }  # fmt: skip
    assert np.allclose(ax.collections[0].get_array(), [[0.25, 0.5], [0.75, 0.875]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["A", "·b⏎"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["embeddings", "FFN 0"]
    sizes = [text.get_fontsize() for text in ax.texts]
    assert sizes[0] == 12 > sizes[3] > 5
    colours = [text.get_color() for text in ax.texts]
    assert colours == ["white", "white", "black", "black"]


def test_a_frame_marks_the_cell_whose_token_really_comes_next(result, ax):
    heatmap.lens_heatmap(result, ax, stage="07_block", prompt="A b\n")
    (frame,) = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    x, y = frame.get_center()
    assert (x, y) == pytest.approx((0.5, 1.5))


def test_parts_stand_in_the_order_of_the_richest_stage_with_both_kinds_of_shares(result):
    axes = panels(2, 1)
    assert shares.attribution_by_part(result, axes) is axes
    top, bottom = axes[:, 0]
    labels = [label.get_text() for label in top.get_xticklabels()]
    assert labels == ["token", "L0H0", "FFN 0", "output bias"]
    assert texts(top) == ["4.00", "1.00", "2.00", "−0.50", "0.25", "1.00"]
    assert texts(bottom) == ["1.00", "1.00", "0.50", "0.00", "0.12", "1.00"]
    grids = [ax.collections[0] for ax in (top, bottom)]
    assert grids[0].get_array().mask.sum() == 2  # the bigram has no head and no feed-forward
    assert {grid.get_clim() for grid in grids} == {(-4, 4)}  # one scale, white at zero
    assert top.yaxis_inverted()


def test_shares_on_a_prompt_stand_above_the_token_that_comes_next(result, ax):
    which = {"stage": "07_block", "prompt": "A b\n"}
    assert shares.prompt_attribution(result, ax, **which) is ax
    assert texts(ax) == ["−3.0", "0.5"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["·b⏎"]
    assert shares.prompt_attribution_size(result, **which) > (2, 2)


@pytest.mark.parametrize(
    ("point", "label"),
    [("hook_embed", "token embedding"), ("blocks.3.hook_attn_out", "attention 3"),
     ("blocks.0.hook_resid_pre", "embeddings"), ("elsewhere", "elsewhere")],
)  # fmt: skip
def test_point_labels(point, label):
    assert lens.point_label(point) == label


def test_a_token_that_would_not_fit_is_cut():
    assert lens.token_label(" dog\n") == "·dog⏎"
    assert lens.token_label("-" * 64) == "-" * 13 + "…"
