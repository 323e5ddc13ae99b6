"""A figure of a result, drawn in a notebook as its page draws it."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import pytest

import lt_interp as lt
from lt_interp.errors import InputError
from lt_interp.figures.save import style
from lt_interp.methods.result import Result
from lt_interp.report.build import PAGES, build_pages
from lt_interp.report.draw import draw


def texts(svg: str) -> list[str]:
    nodes = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()).strip() for node in nodes]


def test_it_says_what_the_page_says(evolution, tmp_path):
    result = evolution()
    result.save(tmp_path / "evolution")
    build_pages(tmp_path)
    svg = io.StringIO()
    with style():
        draw(result, "perplexity").savefig(svg, format="svg")
    on_the_page = (tmp_path / "evolution" / "perplexity.svg").read_text(encoding="utf-8")
    assert texts(svg.getvalue()) == texts(on_the_page) != []


def test_the_first_figure_of_the_page_is_the_default(evolution):
    result = evolution()
    first = next(iter(PAGES["evolution"].drawings(result))).removesuffix(".svg")
    assert draw(result).png() == lt.draw(result, first).png()


def test_every_figure_has_a_name_and_the_size_of_the_page(evolution):
    result = evolution()
    for file, drawing in PAGES["evolution"].drawings(result).items():
        size = tuple(draw(result, file.removesuffix(".svg")).get_size_inches())
        assert size == pytest.approx(drawing.size)


def test_a_figure_that_is_not_there_is_refused_with_those_that_are(evolution):
    with pytest.raises(InputError, match="no figure 'heads'; allowed: perplexity"):
        draw(evolution(), "heads")
    with pytest.raises(InputError, match=r"'mine' is no analysis with figures: .*evolution"):
        draw(Result(name="mine", tables={}))
