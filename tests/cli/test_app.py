"""The command as a whole: what it loads, what it lists, and how it ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lt_interp.cli.exits import ExitStatus
from lt_interp.errors import InputError

COMMANDS = (
    "stages", "evaluate", "generate", "hooks", "train", "analyze", "report", "export", "tokenizer"
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["--help"], ["train", "--help"], ["export", "--help"], ["--nonsense"], ["hooks", "10_moe"]],
)
def test_what_needs_no_deep_learning_library_loads_none(
    words: list[str], environment: dict[str, str]
) -> None:
    code = (
        "import sys\nfrom lt_interp.cli.app import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True
    )
    loaded = set(done.stderr.splitlines()[-1].split(" "))
    assert "lt_interp.cli.train" in loaded
    assert loaded & {"torch", "transformer_lens", "transformers", "datasets", "pandas"} == set()


def test_help_lists_every_command(run: Any) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert [name for name in COMMANDS if name not in result.stdout] == []


def test_the_version_is_the_packages(run: Any) -> None:
    assert run("--version").stdout == f"lt-interp {version('lt-interp')}\n"


@pytest.mark.parametrize("words", [["nonsense"], ["stages", "--nonsense"], ["generate"]])
def test_a_misspelt_command_ends_with_status_2(words: list[str], run: Any) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")


def failing(error: BaseException | Callable[[], None]) -> Any:
    """The outcome of a command that raises."""
    app = typer.Typer(cls=ExitStatus)

    @app.command()
    def fail() -> None:
        raise error

    @app.callback()
    def root() -> None: ...

    return CliRunner().invoke(app, ["fail"])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("x is [bold]y[/]; choose\nz"), 2, "error: x is [bold]y[/]; choose z\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/b"), 1,
         "error: a/b: No space left on device\n"),
        (PermissionError("read-only"), 1, "error: read-only\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (BrokenPipeError(), 1, ""),
    ],
)  # fmt: skip
def test_every_failure_has_its_status_and_its_line(
    error: BaseException, status: int, line: str
) -> None:
    result = failing(error)
    assert (result.exit_code, result.stderr, result.stdout) == (status, line, "")


def test_a_fault_of_the_program_is_not_hidden() -> None:
    fault = RuntimeError("ours")
    assert failing(fault).exception is fault


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_that_cannot_be_written_is_one_line_and_status_1(
    environment: dict[str, str], stories_file: Path
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from lt_interp.cli.app import main; main()",
             "tokenizer", "coverage", "--corpus", stories_file, "--json"],
            env=environment, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_a_reader_that_stops_early_gets_no_traceback(
    environment: dict[str, str], stories_file: Path
) -> None:
    command = [sys.executable, "-c", "from lt_interp.cli.app import main; main()",
               "tokenizer", "coverage", "--corpus", str(stories_file), "--json"]  # fmt: skip
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert running.wait() == 1
