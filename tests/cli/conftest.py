"""The command line in this process, quickly, or in one of its own, as a user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lt_interp.cli.app import app
from lt_interp.corpus.sources import open_corpus

ROOT = Path(__file__).parents[2]
ENTRY = "from lt_interp.cli.app import main; main()"
COMMAND_SECONDS = 300

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of every command that these tests run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process."""
    monkeypatch.setenv("LT_INTERP_CACHE", str(cache))
    return lambda *words: invoke(*words)


def invoke(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="lt-interp")


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    """What a command in a process of its own needs; no network."""
    own = {"LT_INTERP_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    return os.environ | own


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Callable[..., object]:
    """Run a command in a process of its own, in an empty folder."""

    def go(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", ENTRY, *map(str, words)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    return go


@pytest.fixture(scope="session")
def stories_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single file of 60 of the embedded stories."""
    stories = list(open_corpus("embedded").stories())[:60]
    path = tmp_path_factory.mktemp("corpus") / "stories.txt"
    path.write_text("".join(f"{story}\n<|endoftext|>\n" for story in stories), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def characters(stories_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer's folder, built by the command."""
    out = tmp_path_factory.mktemp("tokenizer") / "characters"
    result = invoke(
        "tokenizer", "build", "--corpus", stories_file, "--kind", "character", "--out", out
    )
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def runs(
    stories_file: Path,
    characters: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Two stages, trained by the command for one epoch on a character vocabulary."""
    out = tmp_path_factory.mktemp("trained") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(cache))
        result = invoke(
            "train", "04_attention", "03_bigram", "--corpus", stories_file, "--epochs", "1",
            "--tokenizer", characters, "--out", out,
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def check_line(result: Any, *parts: str) -> None:
    """One line that begins with `error:` and holds the parts; nothing else anywhere."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert [part for part in parts if part not in result.stderr] == []
