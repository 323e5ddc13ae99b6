from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from markdown_it import MarkdownIt

from lt_interp.errors import InputError
from lt_interp.report.build import build_pages
from lt_interp.report.markdown import code
from lt_interp.stages import STAGES

from .conftest import meta


@pytest.fixture
def saved(tmp_path, evolution, blindness):
    """Saves both results for some stages and builds their pages."""

    def save(stages):
        evolution(stages).save(tmp_path / "evolution")
        blindness(stages).save(tmp_path / "position_blindness")
        build_pages(tmp_path)
        return tmp_path

    return save


@pytest.fixture(scope="module")
def whole(tmp_path_factory, evolution, blindness):
    """The pages of the whole ladder, to be read and not changed."""
    out = tmp_path_factory.mktemp("whole")
    evolution().save(out / "evolution")
    blindness().save(out / "position_blindness")
    build_pages(out)
    return out


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def test_deleting_pages_and_figures_and_building_again_gives_the_same_bytes(saved):
    out = saved(["04_attention", "05_attn_position"])
    before = contents(out)
    for path in [*out.rglob("*.md"), *out.rglob("*.svg")]:
        path.unlink()
    build_pages(out)
    assert contents(out) == before
    assert {"index.md", "evolution/report.md", "position_blindness/report.md"} <= set(before)


def test_every_figure_and_page_that_is_linked_exists(whole):
    for page in whole.rglob("*.md"):
        links = [
            child.attrGet("src") or child.attrGet("href")
            for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text("utf-8"))
            for child in token.children or ()
            if child.type in ("image", "link_open")
        ]
        assert links
        assert [link for link in links if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize(
    "stages",
    [["01_bag_of_words"], ["10_moe_gated"], ["03_bigram", "04_attention", "09_multi_head"]],
)
def test_any_part_of_the_ladder_makes_pages(saved, stages):
    out = saved(stages)
    page = (out / "evolution" / "report.md").read_text("utf-8")
    ladder = page.split("## The ladder")[1].split("## ")[0]
    assert [stage for stage in STAGES if code(stage) in ladder] == stages
    assert (out / "evolution" / "pairs.svg").exists() == (len(stages) > 1)
    assert (out / "evolution" / "curve_09_multi_head.svg").exists() == (len(stages) > 1)


@pytest.mark.parametrize("name", ["evolution", "position_blindness"])
def test_one_result_alone_makes_its_page_and_an_index(tmp_path, evolution, blindness, name):
    result = {"evolution": evolution, "position_blindness": blindness}[name](["06_ffn"])
    result.save(tmp_path / name)
    assert build_pages(tmp_path) == [tmp_path / "index.md", tmp_path / name / "report.md"]
    index = (tmp_path / "index.md").read_text("utf-8")
    assert ("evolution/perplexity.svg" in index) == (name == "evolution")


def test_every_page_says_on_top_what_it_was_measured_on_and_at_the_end_how(whole):
    for page in whole.rglob("*.md"):
        text = page.read_text("utf-8")
        assert text.split("\n\n")[1].startswith("**Measured on the embedded stories**")
        end = text.split("## How this page was made")[1]
        assert "lt-interp report --corpus embedded" in end
        assert "ab" * 32 in end
        assert "2026-01-02" in end


def test_hostile_strings_stay_text_on_the_pages(saved, hostile):
    out = saved(["06_ffn", "07_block"])
    for page in out.rglob("*.md"):
        rendered = MarkdownIt("gfm-like", {"linkify": False}).render(page.read_text("utf-8"))
        assert "<script" not in rendered
        assert "<strong>bold" not in rendered
        assert 'http://e.org"' not in rendered
    assert code(hostile) in (out / "evolution" / "report.md").read_text("utf-8")


def test_tables_of_the_page_hold_the_numbers_of_the_result(whole, evolution):
    page = (whole / "evolution" / "report.md").read_text("utf-8")
    for row in evolution().tables["ladder"].itertuples():
        (line,) = [one for one in page.splitlines() if one.startswith(f"| {code(row.stage)} |")
                   and "**" in one]  # fmt: skip
        assert f"**{row.perplexity:.{1 if row.perplexity >= 100 else 2}f}**" in line
        assert "55.0 M" in line


def test_another_articles_model_has_no_place_for_the_ladders_figures(tmp_path, evolution):
    result = evolution(["06_ffn"])
    nothing = dict.fromkeys(["article_perplexity", "article_parameters", "article_scored_on"])
    tables = {name: table.replace("06_ffn", "byte_gpt") for name, table in result.tables.items()}
    tables["ladder"] = tables["ladder"].assign(**nothing)
    tables["samples"] = tables["samples"].assign(article_sample=None)
    tables |= {name: tables[name].iloc[:0] for name in ("pairs", "curves", "article_curves")}
    foreign = dataclasses.replace(result, tables=tables, meta=meta(["byte_gpt"]))
    foreign.save(tmp_path / "evolution")
    build_pages(tmp_path, family="numpy_gpt")
    page = (tmp_path / "evolution" / "report.md").read_text("utf-8")
    assert "![Perplexity of every stage with 95% intervals](perplexity.svg)" in page
    assert "## The model\n" in page
    assert "| byte_gpt | 524,288 | 528,384 |" in page
    for absent in (
        "the article's",
        "The article",
        "The ladder",
        "What each rung",
        "Training curves",
    ):
        assert absent not in page


def test_further_seeds_get_a_table_of_their_own(tmp_path, evolution):
    result = evolution(["10_moe"])
    ladder = result.tables["ladder"]
    result.tables["ladder"] = ladder.loc[[0, 0]].assign(seed=[0, 1], perplexity=[9.0, 9.25])
    result.save(tmp_path / "evolution")
    build_pages(tmp_path)
    page = (tmp_path / "evolution" / "report.md").read_text("utf-8")
    assert "| 10 + MoE | 1 | 9.25 |" in page
    assert page.count(f"| {code('10_moe')} | + MoE") == 1


def test_pages_on_two_corpora_are_told_apart_in_the_index(tmp_path, evolution, blindness):
    evolution(["06_ffn"], corpus="val.txt").save(tmp_path / "evolution")
    blindness(["06_ffn"]).save(tmp_path / "position_blindness")
    build_pages(tmp_path)
    index = (tmp_path / "index.md").read_text("utf-8")
    assert "Pages: The full evolution." in index
    assert "Pages: Position blindness." in index


def test_progress_names_every_page(tmp_path, evolution):
    evolution(["06_ffn"]).save(tmp_path / "evolution")
    calls = []
    build_pages(tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [(0, 1, "evolution"), (1, 1, "index")]


def test_folder_without_results_is_refused_and_left_as_it_was(tmp_path):
    with pytest.raises(InputError, match="holds no saved result"):
        build_pages(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_another_version_is_named(tmp_path, blindness):
    old = blindness(["06_ffn"])
    kept = {name: old.tables[name] for name in ("differences", "predictions")}
    dataclasses.replace(old, tables=kept).save(tmp_path / "position_blindness")
    with pytest.raises(InputError, match=r"position_blindness.*another version.*run lt-interp"):
        build_pages(tmp_path)


def test_building_needs_no_torch():
    code = "import sys, lt_interp.report.build; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
