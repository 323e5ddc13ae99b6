"""Every recipe under analyses/ runs by itself: from stories to a page."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from lt_interp.methods.registry import analyses_of

from .conftest import STORIES

RECIPES = Path(__file__).parents[2] / "analyses"


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "path", [str(RECIPES), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(RECIPES / name), *arguments])
    runpy.run_path(str(RECIPES / name), run_name="__main__")


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("analysis", analyses_of("ladder"))
def test_recipe_leaves_a_page(
    analysis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = tmp_path / "stories.txt"
    stories.write_text("".join(f"{story}\n<|endoftext|>\n" for story in STORIES * 10))
    out = tmp_path / "pages"
    run(f"{analysis}.py", monkeypatch, "--corpus", str(stories), "--out", str(out))
    stored = (out / analysis / "result.json").read_text()
    assert json.loads(stored)["meta"]["corpus"]["name"] == "stories.txt"
    assert str(tmp_path) not in stored
    assert (out / analysis / "report.md").is_file()
    assert (out / "index.md").is_file()


def test_a_recipe_of_another_article_leaves_its_page_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("components.py", monkeypatch, "--out", str(tmp_path))
    run("kv_cache.py", monkeypatch, "--lengths", "4", "9", "--out", str(tmp_path))
    assert "222,784" in (tmp_path / "numpy_gpt" / "components" / "report.md").read_text()
    front = (tmp_path / "four_layer_gpt" / "index.md").read_text()
    assert "kv_cache/report.md" in front
    kept = (tmp_path / "four_layer_gpt" / "kv_cache" / "result.json").read_text()
    assert "python analyses/kv_cache.py --lengths 4 9" in kept


def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run("evolution.py", monkeypatch, "--out", str(tmp_path / "pages"))
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "pages").exists()
