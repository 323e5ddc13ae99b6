from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lt_interp.figures import activation_patching as charts
from lt_interp.figures import patching_heatmaps as heatmaps
from lt_interp.methods.result import Result


def cell(stage: str, component: str, layer: int | None, role: str, recovery: float, **more) -> dict:
    return {
        "stage": stage, "direction": "denoising", "component": component, "layer": layer,
        "head": None, "position_role": role, "recovery": recovery, **more,
    }  # fmt: skip


@pytest.fixture
def patching() -> Result:
    stage = "09_multi_head"
    cells = pd.DataFrame([
        cell("01_bag_of_words", "embed", None, "differing", 1.0),
        cell(stage, "embed", None, "differing", 1.0),
        cell(stage, "resid_pre", 0, "differing", 1.0),
        cell(stage, "resid_pre", 0, "last", 0.0),
        cell(stage, "resid_pre", 0, "last", 0.9, direction="noising"),
        cell(stage, "mlp_out", 0, "last", -0.25),
        cell(stage, "resid_pre", 1, "between", 0.4),
        cell(stage, "z", 0, "all", 0.3, head=1),
        cell(stage, "v", 1, "all", 0.7, head=0),
        cell(stage, "z", 0, "last", 0.2, head=1),
    ]).astype({"layer": "Int64", "head": "Int64"})  # fmt: skip
    examples = pd.DataFrame([
        {"stage": stage, "template": "t", "direction": direction, "component": "resid_pre",
         "layer": 0, "position": 2 + n, "clean_token": token, "corrupt_token": other,
         "recovery": value, "n_pairs": 5}
        for direction, change in (("denoising", 0.0), ("noising", 5.0))
        for n, (token, other, value) in enumerate(
            [(" Lily", " Tim", 0.9 + change), ("\n", "\n", 0.1 + change)]
        )
    ])  # fmt: skip
    tables = {
        "cells": cells,
        "examples": examples,
        "by_template": pd.DataFrame({"template": ["t"], "kind": ["names"]}),
        "clean_accuracy": pd.DataFrame({
            "stage": ["01_bag_of_words", stage], "share_right": [0.6, 1.0], "low": [0.5, 0.9],
            "high": [0.7, 1.0], "untrained_share_right": [0.4, 0.5],
        }),
        "important": pd.DataFrame({
            "stage": [stage] * 2, "component": ["v", "mlp_out"], "layer": [1, 0],
            "head": pd.array([0, None], dtype="Int64"), "position_role": ["all", "last"],
            "recovery": [0.7, -0.25], "low": [0.6, -0.3], "high": [0.8, -0.2],
            "donor_recovery": [0.1, 0.0], "noising_recovery": [0.35, 1.2],
        }),
    }  # fmt: skip
    return Result(name="activation_patching", tables=tables)


def points(ax) -> dict[str, list[tuple[float, float]]]:
    return {
        line.get_label(): [(float(x), float(y)) for x, y in zip(*line.get_data())]
        for line in ax.lines
    }


def numbers(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def panels(shape: tuple[int, int]) -> np.ndarray:
    return Figure().subplots(*shape, squeeze=False)


def test_accuracy_is_the_table_in_percent(patching, ax):
    assert charts.accuracy_chart(patching, ax) is ax
    found = points(ax)
    assert found["untrained"] == [(40, 0), (50, 1)]
    assert [tuple(p) for p in np.transpose(ax.containers[0].lines[0].get_data())] == [
        (60, 0), (100, 1)
    ]  # fmt: skip


def test_parts_show_restoring_destroying_and_the_wrong_donor(patching, ax):
    charts.parts_chart(patching, ax)
    found = points(ax)
    assert found["wrong donor"] == [(0.1, 0), (0.0, 1)]
    assert found["lost when destroyed"] == [(0.65, 0), (pytest.approx(-0.2), 1)]
    assert labels(ax.yaxis) == ["L1 H0 v", "L0 mlp_out, last"]


def test_roles_are_the_streams_cells_in_the_order_of_firing(patching):
    axes = panels(heatmaps.stage_panels(patching))
    heatmaps.roles_heatmaps(patching, axes)
    (ax,) = np.ravel(axes)
    assert labels(ax.yaxis) == ["L0 resid_pre", "L0 mlp_out", "L1 resid_pre"]
    assert labels(ax.xaxis) == ["differing", "between", "last"]
    assert numbers(ax) == ["1.00", "0.00", "−0.25", "0.40"]
    assert ax.yaxis_inverted()  # the first place on top


def test_heads_are_those_patched_everywhere(patching):
    axes = panels(heatmaps.stage_panels(patching))
    heatmaps.heads_heatmaps(patching, axes)
    (ax,) = np.ravel(axes)
    assert labels(ax.yaxis) == ["L0 H1", "L1 H0"]
    assert numbers(ax) == ["0.30", "0.70"]


def test_positions_are_labelled_with_both_tokens(patching):
    assert heatmaps.example_templates(patching) == ["t"]
    axes = panels(heatmaps.positions_panels(patching))
    heatmaps.positions_heatmaps(patching, axes)
    (ax,) = np.ravel(axes)
    assert labels(ax.xaxis) == ["·Lily\n·Tim", "⏎"]
    assert numbers(ax) == ["0.90", "0.10"]


def test_the_name_of_a_template_is_cut_to_what_has_room(patching):
    for name in ("examples", "by_template"):
        patching.tables[name]["template"] = "w" * 3_000
    axes = panels(heatmaps.positions_panels(patching))
    heatmaps.positions_heatmaps(patching, axes)
    (ax,) = np.ravel(axes)
    assert ax.get_title().startswith("w" * 27 + "… (mean of")


def test_the_last_stage_is_in_focus_where_09_was_not_measured(patching):
    assert charts.focus_stage(patching) == "09_multi_head"
    cells = patching.tables["cells"]
    patching.tables["cells"] = cells[cells["stage"] == "01_bag_of_words"]
    assert charts.focus_stage(patching) == "01_bag_of_words"
    patching.tables["cells"] = cells.iloc[:0]
    assert charts.focus_stage(patching) is None
    assert heatmaps.example_templates(patching) == []
