from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lt_interp.report.markdown import code, listing, plain, table, visible

HOSTILE = [
    "|", " a|b", "`", "``x`", "<script>alert(1)</script>", "\n", "\n\n# heading", " little",
    "*bold*", "_em_", "__init__", "a_b", "[x](http://e.org)", "![x](y)", "\\", "\\|", "&lt;", "$x$",
    "~~s~~", "www.e.org", "https://e.org", "a@e.org", ":smile:", "#1", "{{ x }}", "<!--", "- x",
    "\u202e", "\x00", "a  b ",
]  # fmt: skip


class Reader(HTMLParser):
    """Tags of a rendered page, and the text inside each `<code>`."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.codes: list[str] = []
        self.inside = False

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.inside = tag == "code"
        if self.inside:
            self.codes.append("")

    def handle_endtag(self, tag) -> None:
        self.inside = self.inside and tag != "code"

    def handle_data(self, data) -> None:
        if self.inside:
            self.codes[-1] += data


def read(markdown: str) -> Reader:
    parser = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    reader = Reader()
    reader.feed(parser.render(markdown))
    return reader


@pytest.mark.parametrize("text", HOSTILE)
def test_code_shows_the_same_text_inside_and_outside_a_table(text):
    within = read(table(["token", "n"], [[code(text), "1"], [code("x"), "2"]], align="lr"))
    assert within.codes == [visible(text), "x"]
    assert within.tags.count("td") == 4
    outside = read(f"The token {code(text)} came.")
    assert outside.codes == [visible(text)]
    assert outside.tags == ["p", "code"]


@given(st.text(max_size=30))
@example("\\|`<b>")
def test_any_string_is_inert_in_a_cell(text):
    reader = read(table(["token", "n"], [[code(text), "1"]], align="lr"))
    assert reader.codes == [visible(text)]
    assert set(reader.tags) == {"table", "thead", "tbody", "tr", "th", "td", "code"}


@given(st.text(alphabet=st.characters(categories=["P", "S", "L"]), min_size=1, max_size=20))
def test_plain_text_is_read_back_as_it_was(text):
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(f"x {plain(text)} x").strip()
    assert html.unescape(rendered) == f"<p>x {visible(text)} x</p>"


def test_visible_shows_what_would_not_be_seen():
    assert visible(" little\n") == "·little⏎"
    assert visible("a  b c ") == "a··b c·"
    assert visible("\t\r\u200b\u00a0") == "⇥␍\\u200b\\u00a0"


def test_ordinary_names_stay_readable_in_the_source():
    assert code("09_multi_head") == "<code>09_multi_head</code>"
    assert plain("one head, no residual: 128-512") == "one head, no residual: 128-512"


def test_table_lines_up_and_refuses_a_row_of_another_length():
    assert table(["a", "b"], [["1", "2"]], align="lr") == "| a | b |\n| :-- | --: |\n| 1 | 2 |"
    with pytest.raises(ValueError, match="a row has 1 cells, the table 2"):
        table(["a", "b"], [["1"]], align="lr")
    with pytest.raises(ValueError, match="names 1 columns, not 2"):
        table(["a", "b"], [], align="l")


def test_listing_is_a_sentence():
    assert [listing(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
