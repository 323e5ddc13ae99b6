"""What the attention figures draw is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.testing import assert_allclose

from lt_interp.figures import attention as heatmaps
from lt_interp.figures.attention_heads import COLUMNS, UNIFORM, UNTRAINED, head_grid, head_names
from lt_interp.figures.attention_self import PANELS, self_by_position, stages_drawn
from lt_interp.figures.save import style
from lt_interp.methods.result import Result

TOKENS = ["Tom", " saw", "\n", " $x$"]
STAGE, PROMPT = "09_multi_head", "Tom saw"


def weight(layer: int, head: int, query: int, key: int) -> float:
    parts = np.arange(1, query + 2) ** (layer + head)
    return float(parts[key] / parts.sum())


@pytest.fixture
def result() -> Result:
    cells = [
        {"stage": STAGE, "prompt": PROMPT, "layer": layer, "head": head, "query": query, "key": key,
         "query_token": TOKENS[query], "key_token": TOKENS[key],
         "weight": weight(layer, head, query, key)}
        for layer in (0, 1) for head in (0, 1)
        for query in range(len(TOKENS)) for key in range(query + 1)
    ]  # fmt: skip
    heads = [("04_attention", 0, 0), *((STAGE, layer, head) for layer in (0, 1) for head in (0, 1))]
    scores = [
        {"stage": stage, "layer": layer, "head": head, "score": score,
         "value": 0.1 * place + 0.01 * column, "uniform": 0.5, "untrained": 0.2 + 0.1 * place,
         "q": None if score == "entropy_nats" else 0.5 if score == "first" else 0.001}
        for place, (stage, layer, head) in enumerate(heads)
        for column, score in enumerate(COLUMNS)
    ]  # fmt: skip
    places = [
        {"stage": stage, "layer": 0, "head": 0, "score": score, "first_query": first,
         "last_query": last, "value": mean, "low": mean - 0.05, "high": mean + 0.05,
         "uniform": 1 / (first + 1)}
        for stage, mean in (("04_attention", 0.9), ("05_attn_position", 0.6))
        for score in ("current", "same_token") for first, last in ((1, 1), (2, 3), (4, 6))
    ]  # fmt: skip
    tables = {"patterns": cells, "head_scores": scores, "by_position": places}
    return Result(name="attention", tables={k: pd.DataFrame(rows) for k, rows in tables.items()})


@pytest.fixture
def axes():
    with style():
        yield Figure().subplots(2, 2, squeeze=False)


def drawn(result: Result, axes: np.ndarray) -> np.ndarray:
    assert heatmaps.panels(result, STAGE, PROMPT) == (2, 2)
    found = heatmaps.prompt_heatmaps(result, axes, stage=STAGE, prompt=PROMPT)
    assert found is axes
    return axes


def test_every_cell_has_its_weight_and_no_colour_above_the_diagonal(result, axes):
    for (layer, head), ax in np.ndenumerate(drawn(result, axes)):
        (image,) = ax.get_images()
        pixels = len(image.get_array()) // len(TOKENS)
        cells = image.get_array()[::pixels, ::pixels]
        assert image.get_clim() == (0, 1)
        for query, key in np.ndindex(cells.shape):
            if key > query:
                assert cells.mask[query, key]
            else:
                assert cells[query, key] == pytest.approx(weight(layer, head, query, key))
        # The first query is on top, and a cell stands at its own number.
        assert image.get_extent() == [-0.5, 3.5, 3.5, -0.5]


def test_the_mask_covers_what_comes_later_and_nothing_else(result, axes):
    for ax in drawn(result, axes).ravel():
        (mask,) = [patch for patch in ax.patches if isinstance(patch, Polygon)]
        assert mask.get_hatch()
        for query, key in np.ndindex(len(TOKENS), len(TOKENS)):
            assert mask.get_path().contains_point((key, query)) == (key > query)


def test_labels_are_the_tokens_made_visible(result, axes):
    for (layer, head), ax in np.ndenumerate(drawn(result, axes)):
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            assert [label.get_text() for label in labels] == ["Tom", "·saw", "⏎", "·$x$"]
        assert ax.get_title(loc="left") == f"09 + Multi-head L{layer} H{head}"


def test_numbers_in_cells_are_the_weights(result, axes):
    ax = drawn(result, axes)[1, 0]
    found = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    assert found[(1, 2)] == ".33"  # 2 of 1 + 2 + 3
    assert found[(0, 0)] == "1.0"
    assert all(key <= query for key, query in found)


def test_one_head_needs_one_axis(result, ax):
    one = result.tables["patterns"].query("layer == 0 and head == 0").assign(stage="04_attention")
    single = Result(name="attention", tables={"patterns": one})
    heatmaps.prompt_heatmaps(single, ax, stage="04_attention", prompt=PROMPT)
    assert ax.get_title(loc="left") == "04 + Attention"
    assert heatmaps.panels(single, "04_attention", PROMPT) == (1, 1)


def test_long_prompts_keep_every_label_in_letters_that_fit(ax):
    n = 64
    cells = [
        {"stage": "04_attention", "prompt": "long", "layer": 0, "head": 0, "query": q, "key": k,
         "query_token": str(q), "key_token": str(k), "weight": 1 / (q + 1)}
        for q in range(n) for k in range(q + 1)
    ]  # fmt: skip
    result = Result(name="attention", tables={"patterns": pd.DataFrame(cells)})
    heatmaps.prompt_heatmaps(result, ax, stage="04_attention", prompt="long")
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == [str(place) for place in range(n)]
    _, height = heatmaps.size(result, "04_attention", "long")
    assert 7 < labels[0].get_fontsize() < 72 * height / n
    assert not ax.texts


def test_grid_has_a_line_a_head_and_two_baselines(result, ax):
    assert head_grid(result, ax) is ax
    names = [label.get_text() for label in ax.get_yticklabels()]
    heads = ["L0 H0", "L0 H1", "L1 H0", "L1 H1"]
    assert names == [
        "04 + Attention", *(f"09 + Multi-head {head}" for head in heads), UNIFORM, UNTRAINED
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_xticklabels()] == list(COLUMNS.values())


def test_grid_numbers_and_colours_are_the_scores(result, ax):
    head_grid(result, ax)
    texts = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    columns = list(COLUMNS)
    assert texts[(columns.index("current"), 2)] == ".20"
    assert texts[(columns.index("first"), 1)] == "≈.13"  # q is 0.5
    assert texts[(columns.index("mean_distance_tokens"), 4)] == "0.5"
    assert texts[(columns.index("entropy_nats"), 1)] == ".38"  # 0.19 of a maximum of 0.5
    assert texts[(0, 5)] == ".50"
    assert texts[(0, 6)] == ".40"
    (image,) = ax.get_images()
    n_rows, n_columns = image.get_array().shape
    assert image.get_array()[n_rows * 2 // 7, 0] == pytest.approx(0.2)
    assert image.get_array()[-1, n_columns - 1] == pytest.approx(0.8)  # 0.4 of 0.5 tokens


def test_only_stages_of_several_heads_number_them():
    table = pd.DataFrame({"stage": ["07_block", "08_two_blocks", "08_two_blocks"],
                          "layer": [0, 0, 1], "head": [0, 0, 0]})  # fmt: skip
    names = ["07 + Residual/LN", "08 + Depth L0 H0", "08 + Depth L1 H0"]
    assert head_names(table).tolist() == names


def test_lines_are_the_means_by_place(result):
    with style():
        axes = Figure().subplots(*PANELS, squeeze=False)
        self_by_position(result, axes)
    for ax in axes.ravel():
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert list(lines) == ["04 + Attention", "05 + Position", "uniform"]
        assert_allclose(lines["04 + Attention"].get_ydata(), 0.9)
        assert_allclose(lines["05 + Position"].get_ydata(), 0.6)
        assert_allclose(lines["uniform"].get_ydata(), [1 / 2, 1 / 3, 1 / 5])
        band = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert_allclose([band.min(), band.max()], [0.85, 0.95])
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2–3", "4–6"]


def test_what_was_not_measured_is_not_drawn(result):
    table = result.tables["by_position"].query("stage == '05_attn_position'")
    assert stages_drawn(Result(name="a", tables={"by_position": table})) == ["05_attn_position"]
    assert stages_drawn(Result(name="a", tables={"by_position": table.iloc[:0]})) == []
