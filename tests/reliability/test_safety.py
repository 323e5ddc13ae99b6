"""Pages are safe to open: what others wrote is shown, and does nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from lt_interp.cli.app import app
from lt_interp.report.build import build_pages

from .columns import check_columns, columns_of
from .hostile import (
    BROWSER,
    HOSTILE,
    SVG_TAGS,
    TAGS,
    as_html,
    browse,
    make_hostile,
    wrong_in,
)
from .inputs import SAVED

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: file:"
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page, from results that hold hostile text wherever text of others was."""
    out = tmp_path_factory.mktemp("pages")
    n_texts = {name: make_hostile(path, out / name) for name, path in SAVED.items()}
    assert sum(n_texts.values()) > 1_000
    build_pages(out)
    return out


def documents(pages: Path) -> list[Path]:
    return sorted(pages.rglob("*.md"))


def test_every_page_is_drawn(pages: Path) -> None:
    assert {path.parent.name for path in documents(pages)} == {*SAVED, pages.name}
    text = "".join(path.read_text(encoding="utf-8") for path in documents(pages))
    assert "&lt;script&gt;document.title='owned'" in text
    assert "<script" not in text


def test_no_page_holds_anything_but_a_page(pages: Path) -> None:
    wrong = {
        str(path.relative_to(pages)): found
        for path in documents(pages)
        if (found := wrong_in(as_html(path.read_text(encoding="utf-8")), TAGS))
    }
    assert wrong == {}


def test_no_figure_holds_anything_but_a_figure(pages: Path) -> None:
    wrong = {
        str(path.relative_to(pages)): found
        for path in sorted(pages.rglob("*.svg"))
        if (found := wrong_in(path.read_text(encoding="utf-8"), SVG_TAGS))
    }
    assert wrong == {}
    for path in pages.rglob("*.svg"):
        ElementTree.fromstring(path.read_bytes())  # no character in it that XML has not


@pytest.mark.parametrize("text", [text for text in HOSTILE if "owned" in text or "evil" in text])
def test_the_check_sees_what_is_not_escaped(text: str) -> None:
    seen = wrong_in(as_html(f"A token {text} here.\n\n{text}\n"), TAGS)
    shown_by_github_alone = text.startswith(("https:", "www.", "'\""))
    dead = "javascript:" in text  # which the renderer refuses itself
    assert bool(seen) != (shown_by_github_alone or dead)


def test_whatever_a_column_holds_is_shown_as_text(tmp_path: Path) -> None:
    """A few columns of every result; `make soak` takes all."""
    rng = random.Random(0)
    chosen = {path: rng.sample(columns_of(path), 4) for path in SAVED.values()}
    found = check_columns(chosen, tmp_path)
    assert found.faults == []
    assert found.shown > 10
    assert found.refused > 10


def test_the_check_of_columns_sees_what_is_not_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lt_interp.report.two_sentences.plain", str)
    found = check_columns({SAVED["two_sentences"]: [("samples", "prompt")]}, tmp_path)
    assert "two_sentences" in found.faults[0] or "index.md" in found.faults[0]


@needs_browser
def test_a_browser_runs_nothing_and_calls_nobody(pages: Path) -> None:
    body = "".join(as_html(path.read_text(encoding="utf-8")) for path in documents(pages))
    figures = (path.read_text(encoding="utf-8") for path in sorted(pages.rglob("*.svg")))
    body += "".join(figure[figure.index("<svg") :] for figure in figures)
    for policy in (None, POLICY):
        document, refused, called = browse(body, policy=policy)
        assert "<title>page</title>" in document
        assert (refused, called) == ("", [])


@needs_browser
def test_the_browser_would_run_and_call() -> None:
    script = HOSTILE[0]
    assert "<title>owned</title>" in browse(script)[0]
    assert "<title>page</title>" in browse(script, policy=POLICY)[0]
    assert browse(script, policy=POLICY)[1] != ""
    assert "evil.example" in "".join(browse("<img src=http://evil.example/a.png>")[2])


def test_a_report_on_hostile_stories_prompts_and_names(good: Path, tmp_path: Path) -> None:
    """From a corpus to pages: what the stories, a file, a folder and a prompt are called."""
    name = "<img src=x onerror=\"document.title='owned'\">"
    stories = "\n<|endoftext|>\n".join(f"{text.strip()} the dog sat. " * 3 for text in HOSTILE)
    corpus = tmp_path / f"{name}.txt"
    corpus.write_text(stories, encoding="utf-8")
    checkpoint = shutil.copytree(good / "checkpoint" / "run", tmp_path / f"{name}[a](b)")
    out = tmp_path / "pages"
    common = ["--corpus", corpus, "--stage", checkpoint, "--out", out, "--workers", "1"]
    prompts = ["--prompt", "<b>the</b>", "--prompt", "[d](https://a.b)"]
    asked = [["report", *common]]
    asked += [["analyze", n, *common, *prompts] for n in ("evolution", "attention", "logit_lens")]
    asked += [["xray", "<script>the", "--stage", checkpoint, "--out", out / "xray.md"]]
    for words in asked:
        done = CliRunner().invoke(app, [str(word) for word in words], prog_name="lt-interp")
        assert done.exit_code == 0, done.output
    for path in out.rglob("*.md"):
        assert wrong_in(as_html(path.read_text(encoding="utf-8")), TAGS) == [], path
    for path in out.rglob("*.svg"):
        assert wrong_in(path.read_text(encoding="utf-8"), SVG_TAGS) == [], path
        ElementTree.fromstring(path.read_bytes())
    assert len(list(out.rglob("*.md"))) > 6
