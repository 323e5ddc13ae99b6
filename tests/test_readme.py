"""The README's examples are run as a reader would: its Python in order, its commands one by one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from benchmarks.growth import COLUMNS, slopes

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMAND_SECONDS = 300
# Shown to a reader, but not for a test: they set up the checkout, take minutes or a file of theirs.
NOT_RUN = re.compile(r"make\b|git clone\b|cd\b|.*#\s*(long|yours)\s*$")
# Commands write here; a test must leave the real ones as they are.
WRITTEN_FOLDERS = {"reports", "runs"}


def fenced_blocks(language: str) -> list[tuple[int, str]]:
    """Fenced blocks of one language, each with the number of the line before its first."""
    if not README.exists():
        return []  # test_readme_shows_code_and_commands says so
    text = README.read_text(encoding="utf-8")
    pattern = rf"^```{language}[ \t]*\n(.*?)^```"
    found = re.finditer(pattern, text, flags=re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n"), match.group(1)) for match in found]


def shell_lines() -> list[str]:
    """Lines of the bash blocks that a test runs, continued lines joined."""
    text = "\n".join(block for _, block in fenced_blocks("bash")).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and line[0] != "#" and not NOT_RUN.match(line)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the checkout: links to its files, and copies of the folders written to."""
    stand_in = tmp_path_factory.mktemp("readme") / "checkout"
    stand_in.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in WRITTEN_FOLDERS:
            (stand_in / entry.name).symlink_to(entry)
    if (ROOT / "reports").exists():
        shutil.copytree(ROOT / "reports", stand_in / "reports")
    if (ROOT.parent / "shared").exists():
        (stand_in.parent / "shared").symlink_to(ROOT.parent / "shared")
    return stand_in


def test_readme_shows_code_and_commands():
    assert README.exists(), "README.md is missing"
    assert fenced_blocks("python"), "README.md shows no python block"
    assert shell_lines(), "README.md shows no lt-interp command in a bash block"


def test_python_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    namespace: dict[str, object] = {"__name__": "readme"}
    for line, block in fenced_blocks("python"):
        # Empty lines in front make a traceback point at the README's own line.
        code = compile("\n" * line + block, str(README), "exec", dont_inherit=True)
        exec(code, namespace)
    assert len(namespace) > 2, "no python block of README.md defined anything"


@pytest.mark.parametrize("line", shell_lines())
def test_command_runs(line: str, checkout: Path):
    words = shlex.split(line, comments=True)
    assert words[0] == "lt-interp", f"cannot test {line!r}: end it with '# long' to skip it"
    script = Path(sys.executable).with_name("lt-interp")
    assert script.exists(), "the lt-interp script is not installed: run the tests by 'make test'"
    done = subprocess.run(
        [script, *words[1:]],
        cwd=checkout,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "LT_INTERP_CACHE": str(checkout.parent / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_table_of_speeds_is_that_of_the_results():
    results = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
    lines = [speed(row) for rows in results.values() for row in rows]
    readme = README.read_text(encoding="utf-8")
    assert [line for line in lines if line not in readme] == []


def test_the_table_of_growth_is_that_of_the_results():
    rows = json.loads((ROOT / "benchmarks/growth.json").read_text(encoding="utf-8"))["rows"]
    lines = [f"| {' | '.join(line)} |" for line in [COLUMNS, *slopes(rows)]]
    readme = README.read_text(encoding="utf-8")
    assert [line for line in lines if line not in readme] == []


def speed(row: dict[str, Any]) -> str:
    """A line of the README's table for a row of the benchmarks' results."""
    unit = "s" if row["unit"] == "s" else "times its time"
    unit = unit if row["lower_is_better"] else "times faster"
    aim = f"{'at most' if row['lower_is_better'] else 'at least'} {row['target']:g}"
    missed = "" if row["reached"] else " (missed)"
    against = row["against"] or "—"
    return f"| {row['what']} | {against} | {row['figure']:.3g} {unit} | {aim}{missed} |"
