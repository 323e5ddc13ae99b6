from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from lt_interp.figures.perplexity import perplexity_chart
from lt_interp.figures.save import legend_above, legend_below, plain_log_axis, save_svg


def texts(path) -> list[str]:
    tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return [
        "".join(node.itertext()).strip() for node in tree.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_drawn_twice_is_the_same_bytes_under_any_settings_of_the_user(evolution, tmp_path):
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    save_svg(first, lambda ax: perplexity_chart(evolution, ax), size=(6, 3))
    with mpl.rc_context({"svg.hashsalt": "other", "font.size": 30, "axes.facecolor": "red"}):
        save_svg(second, lambda ax: perplexity_chart(evolution, ax), size=(6, 3))
        assert mpl.rcParams["font.size"] == 30
    assert first.read_bytes() == second.read_bytes()


def test_letters_stay_letters_and_no_date_is_written(evolution, tmp_path):
    path = tmp_path / "chart.svg"
    save_svg(path, lambda ax: perplexity_chart(evolution, ax), size=(6, 3))
    assert "10 + MoE, gated" in texts(path)
    assert "dc:date" not in path.read_text(encoding="utf-8")


def test_hostile_text_stays_text(tmp_path):
    path = tmp_path / "chart.svg"
    hostile = "<script>x</script> $a_b$ & |"
    save_svg(path, lambda ax: ax.set_title(hostile).axes, size=(6, 3))
    assert hostile in texts(path)
    assert "<script" not in path.read_text(encoding="utf-8")


def test_log_axis_has_ordinary_numbers():
    ax = Figure().subplots()
    ax.plot([3, 300], [1, 1])
    plain_log_axis(ax, "x")
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert {"5", "10", "20", "50", "100", "200"} <= set(labels)


def test_a_legend_below_covers_no_panel():
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    for label in "abc":
        left.plot([0, 1], [0, 1], label=label)
    legend_below(left, 3)
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    top = legend.get_window_extent().y1
    assert top < min(ax.get_window_extent().y0 for ax in (left, right))


def test_legend_begins_with_the_named_entry():
    ax = Figure().subplots()
    for label in ("a", "b", "c"):
        ax.plot([0, 1], [0, 1], label=label)
    legend_above(ax, "c")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["c", "a", "b"]
