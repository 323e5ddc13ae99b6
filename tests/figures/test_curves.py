from __future__ import annotations

from lt_interp.figures.curves import stages_with_curves, training_curve


def lines(ax) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data())) for line in ax.lines}


def test_lines_are_the_tables_in_millions_of_tokens(evolution, ax):
    assert training_curve(evolution, ax, stage="05_attn_position") is ax
    assert lines(ax) == {
        "ours, seed 0": [(8.0, 70.0), (16.0, 45.0)],
        "ours, seed 1": [(8.0, 71.0)],
        "the article": [(8.16, 72.6), (465.12, 17.7)],
    }


def test_both_axes_are_logarithmic(evolution, ax):
    training_curve(evolution, ax, stage="05_attn_position")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_only_stages_that_both_have_get_a_figure(evolution):
    assert stages_with_curves(evolution) == ["05_attn_position"]


def test_no_figure_without_a_curve_of_ours(evolution):
    evolution.tables["curves"] = evolution.tables["curves"].iloc[:0]
    assert stages_with_curves(evolution) == []
