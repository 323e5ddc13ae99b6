"""What every recipe of this folder does around its analysis: open, compute, save, draw."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lt_interp.cli.corpora import encode, open_stories
from lt_interp.cli.progress import bar
from lt_interp.errors import InputError
from lt_interp.methods.analyze import analyze_into, forget_parts, row_width, tokenizer_of
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.report.build import build_pages
from lt_interp.training.run_folder import shipped_checkpoints


def run(
    analysis: str,
    *,
    checkpoints: Sequence[str] | None,
    corpus: str,
    seed: int,
    **choices: Any,
) -> None:
    """Run a recipe as a command with `--corpus` and `--out`.

    Args:
        analysis: Its name in `lt_interp.methods.registry`.
        checkpoints: Names or folders; `None` for every shipped one of the ladder.
        corpus: The stories, unless the command line names others.
        seed: Of the analysis.
        choices: Further keywords of the analysis.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--corpus", default=corpus, help="as lt-interp report takes it")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="where the pages go")
    asked = parser.parse_args()
    try:
        named = checkpoints or shipped_checkpoints(family="ladder")
        _run(analysis, named, asked.corpus, asked.out, seed, choices)
    except InputError as error:
        parser.exit(2, f"error: {error}\n")


def _run(
    analysis: str,
    checkpoints: Sequence[str],
    corpus: str,
    out: Path,
    seed: int,
    choices: dict[str, Any],
) -> None:
    if not checkpoints:
        raise InputError("no trained checkpoint is shipped here; make one with lt-interp train")
    found = find_checkpoints(checkpoints)
    rows = encode(open_stories(corpus), tokenizer_of(found[0]), width=row_width(found))
    with bar(analysis) as advance:
        analyze_into(
            out, analysis, checkpoints, rows, seed=seed, progress=advance,
            command=_command(corpus), **choices,
        )  # fmt: skip
    print(build_pages(out)[0])
    forget_parts(out, [analysis])


def _command(corpus: str) -> str:
    """What repeats the result; of a full path only the name, since pages are published."""
    named = Path(corpus).name if Path(corpus).is_absolute() else corpus
    return shlex.join(["python", f"analyses/{Path(sys.argv[0]).name}", "--corpus", named])
