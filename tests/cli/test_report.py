"""Analyses as commands: what they write where, and that they go on where they were."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from lt_interp.methods.evaluation import Evaluation, evaluate
from lt_interp.methods.registry import analyses_of
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel

STORIES = "Tom had a cat.\n<|endoftext|>\nThe cat sat on a mat.\n<|endoftext|>\n" * 40


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    path = tmp_path / "stories.txt"
    path.write_text(STORIES, encoding="utf-8")
    return path


def test_an_articles_pages_stand_in_a_folder_of_its_name(
    run: Any, stories: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pages"
    words = ["report", "--family", "numpy_gpt", "--only", "components", "--corpus", stories]
    result = run(*words, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out / "numpy_gpt" / "index.md")
    assert "222,784" in (out / "numpy_gpt" / "components" / "report.md").read_text()
    assert not (out / "index.md").exists()


def test_what_is_in_no_report_of_the_family_is_refused(
    run: Any, stories: Path, tmp_path: Path
) -> None:
    words = ["report", "--family", "ladder", "--only", "components", "--corpus", stories]
    result = run(*words, "--out", tmp_path / "pages")
    assert result.exit_code == 2
    assert "components: no part of that report" in result.stderr
    assert not (tmp_path / "pages").exists()


def test_stages_and_a_family_are_one_too_many(run: Any, stories: Path, tmp_path: Path) -> None:
    words = ["report", "--family", "numpy_gpt", "--stage", "byte_gpt", "--corpus", stories]
    result = run(*words, "--out", tmp_path / "pages")
    assert result.exit_code == 2
    assert "both --stage and --family" in result.stderr


def test_report_analyses_what_is_asked_and_writes_the_pages(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pages"
    result = run(
        "report", "--corpus", stories_file, "--out", out, "--only", "position_blindness",
        "--stage", runs / "03_bigram", "--seed", "4",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out / 'index.md'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["index.md", "position_blindness"]
    saved = json.loads((out / "position_blindness" / "result.json").read_text(encoding="utf-8"))
    meta = saved["meta"]
    assert (meta["seed"], meta["corpus"]["name"]) == (4, "stories.txt")
    assert list(meta["models"]) == ["03_bigram"]
    assert meta["command"].startswith("lt-interp report --corpus stories.txt --seed 4 --only")
    assert str(tmp_path.parent) not in (out / "index.md").read_text(encoding="utf-8")
    # the pages are drawn from the saved result alone
    pages = {path: path.read_bytes() for path in out.rglob("*.[sm][vd]*")}
    assert b"03_bigram" in pages[out / "position_blindness" / "report.md"]
    for path in pages:
        path.unlink()
    monkeypatch.setattr("lt_interp.training.checkpoint.load", None)
    result = run("report", "--redraw", "--out", out)
    assert result.stdout == f"{out / 'index.md'}\n", result.output
    assert {path: path.read_bytes() for path in out.rglob("*.[sm][vd]*")} == pages


def test_analyze_takes_the_choices_of_one_analysis(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pages"
    result = run(
        "analyze", "evolution", "--corpus", stories_file, "--out", out,
        "--stage", runs / "03_bigram", "--prompt", "Tom saw", "--prompt", "Ann",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out / 'index.md'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["evolution", "index.md"]
    saved = Result.load(out / "evolution")
    assert saved.tables["samples"]["prompt"].tolist() == ["Tom saw", "Ann"]
    assert saved.meta["command"] == (
        "lt-interp analyze evolution --corpus stories.txt --seed 0 --stage 03_bigram "
        "--prompt 'Tom saw' --prompt Ann"
    )


def test_an_interrupted_analysis_goes_on(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["analyze", "evolution", "--corpus", stories_file, "--out", tmp_path]
    words += ["--stage", runs / "03_bigram", "--stage", runs / "04_attention"]
    words += ["--workers", "1"]  # the interruption is planted in this process
    scored: list[str] = []

    def interrupted(model: StageModel, *args: Any, **kwargs: Any) -> Evaluation:
        scored.append(str(model.cfg.model_name))
        if len(scored) == 2:
            raise KeyboardInterrupt
        return evaluate(model, *args, **kwargs)

    monkeypatch.setattr("lt_interp.methods.evolution.evaluate", interrupted)
    assert run(*words).exit_code == 130
    assert not (tmp_path / "evolution").exists()
    assert run(*words).exit_code == 0
    assert scored == ["03_bigram", "04_attention", "04_attention"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evolution", "index.md"]


def test_one_models_analyses_are_the_same_side_by_side(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    """`article` reads the results of others: it waits for them."""
    names = ("evolution", "position_blindness", "article")
    words = ["report", "--corpus", stories_file, "--stage", runs / "03_bigram"]
    words += [word for name in names for word in ("--only", name)]
    results = {n: run(*words, "--workers", n, "--out", tmp_path / str(n)) for n in (1, 2)}
    parts = {n: result.stderr.splitlines() for n, result in results.items()}
    assert parts[1][0] == "The evolution (1 of 4)", parts[1]
    assert parts[2][0] == "2 analyses side by side (1 of 3)", parts[2]
    assert parts[2][1:] == ["The article's tables and claims (2 of 3)", "writing pages (3 of 3)"]
    one, two = (
        {path.relative_to(tmp_path / n): path.read_bytes()
         for path in (tmp_path / n).rglob("*") if path.is_file()}
        for n in "12"
    )  # fmt: skip
    assert one == two
    assert {path.parts[0] for path in one} == {*names, "index.md"}


def test_a_whole_report_needs_no_network(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a report used the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    with pytest.raises(AssertionError, match="used the network"):
        socket.create_connection(("localhost", 9))
    words = ["report", "--corpus", stories_file, "--out", tmp_path, "--workers", "1"]
    result = run(*words, "--stage", runs / "04_attention")
    assert result.exit_code == 0, result.output
    written = {path.parent.name for path in tmp_path.glob("*/report.md")}
    assert written == set(analyses_of("ladder"))
