"""What every recipe of this folder does around its analysis: open, compute, save, draw."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lt_interp.cli.corpora import encode, open_stories
from lt_interp.cli.progress import bar
from lt_interp.cli.quiet import quiet_libraries
from lt_interp.errors import InputError
from lt_interp.methods.analyze import (
    analyze_into,
    family_folder,
    forget_parts,
    row_width,
    tokenizer_of,
)
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.result import Result
from lt_interp.methods.workers import Workers, n_cores
from lt_interp.report.build import build_pages
from lt_interp.training.run_folder import shipped_checkpoints


def run(
    analysis: str,
    *,
    checkpoints: Sequence[str] | None,
    corpus: str,
    seed: int,
    family: str = "ladder",
    **choices: Any,
) -> None:
    """Run a recipe as a command with `--corpus` and `--out`.

    Args:
        analysis: Its name in `lt_interp.methods.registry`.
        checkpoints: Names or folders; `None` for every shipped one of the family.
        corpus: The stories, unless the command line names others.
        seed: Of the analysis.
        family: The article whose page it is part of.
        choices: Further keywords of the analysis.
    """
    parser = _parser(corpus)
    asked = parser.parse_args()
    try:
        named = checkpoints or shipped_checkpoints(family=family)
        _run(analysis, named, asked.corpus, asked.out, seed, family, choices)
    except InputError as error:
        parser.exit(2, f"error: {error}\n")


def run_experiment(
    family: str,
    make: Callable[..., Result],
    *,
    runs: Path | None = None,
    corpus: str | None = None,
    **choices: Any,
) -> None:
    """Run what is no analysis of shipped checkpoints, as a command with `--out`.

    Args:
        family: The article whose page it is part of.
        make: Returns the result; called with the choices, and with `runs`, `corpus` and `workers`
            where they are given here.
        runs: The folder of its training runs, unless `--runs` names another; interrupted, they go
            on from their last snapshots.
        corpus: The stories, unless `--corpus` names others.
        choices: Its further keywords, numbers or tuples; each is an option of the command.
    """
    parser = _parser(corpus)
    if runs is not None:
        parser.add_argument("--runs", type=Path, default=runs, help="where the runs go")
    for name, value in choices.items():
        several = isinstance(value, tuple)
        parser.add_argument(
            f"--{name}", default=value, nargs="+" if several else None,
            type=type(value[0] if several else value), help="default: %(default)s",
        )  # fmt: skip
    asked = parser.parse_args()
    choices = {name: getattr(asked, name) for name in choices}
    changed = {name: value for name, value in choices.items() if value != parser.get_default(name)}
    command = _command(asked.corpus if runs is not None else None, changed)
    try:
        with bar(family) as advance, Workers(n_cores(), prepare=quiet_libraries) as workers:
            if runs is not None:
                choices |= {"runs": asked.runs, "corpus": asked.corpus, "workers": workers}
            result = make(progress=advance, command=command, **choices)
        place = family_folder(asked.out, family)
        result.save(place / result.name)
        print(build_pages(place, family=family)[0])
    except InputError as error:
        parser.exit(2, f"error: {error}\n")


def _run(
    analysis: str,
    checkpoints: Sequence[str],
    corpus: str,
    out: Path,
    seed: int,
    family: str,
    choices: dict[str, Any],
) -> None:
    out = family_folder(out, family)
    if not checkpoints:
        raise InputError("no trained checkpoint is shipped here; make one with lt-interp train")
    found = find_checkpoints(checkpoints)
    rows = encode(open_stories(corpus), tokenizer_of(found[0]), width=row_width(found))
    with bar(analysis) as advance:
        analyze_into(
            out, analysis, checkpoints, rows, seed=seed, progress=advance,
            command=_command(corpus), **choices,
        )  # fmt: skip
    print(build_pages(out, family=family)[0])
    forget_parts(out, [analysis])


def _parser(corpus: str | None) -> argparse.ArgumentParser:
    """The options of every recipe; `--corpus` where it reads stories."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    if corpus is not None:
        parser.add_argument("--corpus", default=corpus, help="as lt-interp report takes it")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="where the pages go")
    return parser


def _command(corpus: str | None, changed: Mapping[str, Any] | None = None) -> str:
    """What repeats the result; of a full path only the name, since pages are published."""
    words = ["python", f"analyses/{Path(sys.argv[0]).name}"]
    if corpus is not None:
        words += ["--corpus", Path(corpus).name if Path(corpus).is_absolute() else corpus]
    for name, value in (changed or {}).items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{name}", *map(str, values)]
    return shlex.join(words)
