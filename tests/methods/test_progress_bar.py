"""A bar shows how far an analysis is, in a notebook and in a terminal, and leaves nothing."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lt_interp as lt
from lt_interp.corpus.windows import Rows
from lt_interp.methods import progress_bar as module
from lt_interp.methods.progress_bar import progress_bar


class Notebook:
    """A stand-in for IPython in a kernel: one display, and everything that was sent to it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.sent.append(data)
        return SimpleNamespace(update=lambda data, raw: self.sent.append(data))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    shown = Notebook()
    shell = SimpleNamespace(kernel=object())
    display = SimpleNamespace(display=shown.display)
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    return shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_notebook_gets_a_bar_that_moves_and_is_empty_in_the_end(notebook: Notebook) -> None:
    with progress_bar("reading") as advance:
        advance(1, 4, "a <b> & c")
        advance(4, 4, "end")
    first, quarter, full, last = notebook.sent
    assert first["text/plain"].startswith("reading: 0%")
    assert 'value="0.2500"' in quarter["text/html"]
    assert "a &lt;b&gt; &amp; c: 25%" in quarter["text/html"]
    assert 'value="1.0000"' in full["text/html"]
    assert last == {"text/plain": ""}


def test_the_bar_is_taken_away_after_an_error_too(notebook: Notebook) -> None:
    with pytest.raises(ZeroDivisionError), progress_bar("reading"):
        raise ZeroDivisionError
    assert notebook.sent[-1] == {"text/plain": ""}


def test_a_notebook_is_not_flooded(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 3600.0)
    with progress_bar("reading") as advance:
        for done in range(1000):
            advance(done, 1000, "story")
    assert len(notebook.sent) == 2  # the first and the last


def test_a_terminal_gets_a_bar_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    error, out = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("reading") as advance:
        advance(1, 2, "[07_block]")
    assert "[07_block]" in error.getvalue()
    assert "50%" in error.getvalue()
    assert out.getvalue() == ""


def test_neither_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading") as advance:
        advance(1, 2, "story")
    assert capsys.readouterr() == ("", "")


def test_analyze_shows_it_where_it_is_asked_for(
    trained: Path, rows: Rows, notebook: Notebook
) -> None:
    kwargs: dict[str, Any] = {"corpus": rows, "prompts": ["Tom"]}
    silent = lt.analyze("evolution", trained / "03_bigram", progress=False, **kwargs)
    assert notebook.sent == []
    shown = lt.analyze("evolution", trained / "03_bigram", progress=True, **kwargs)
    assert len(notebook.sent) > 2
    assert notebook.sent[0]["text/plain"].startswith("evolution: 0%")
    assert shown.tables["ladder"].equals(silent.tables["ladder"])
