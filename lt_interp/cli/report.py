"""`lt-interp report`: every analysis over every checkpoint, and the pages."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lt_interp.cli.choices import LARGEST_SEED, chosen_checkpoints
from lt_interp.cli.console import note
from lt_interp.cli.corpora import encode, open_stories
from lt_interp.cli.outputs import require_writable
from lt_interp.cli.progress import Advance, bar, bar_columns, display
from lt_interp.errors import InputError

if TYPE_CHECKING:
    from lt_interp.corpus.tokenizer import Tokenizer
    from lt_interp.methods.checkpoints import Checkpoint
    from lt_interp.methods.result import Result


def report(
    corpus: Annotated[
        str,
        typer.Option(help="A file, a folder with train.* and validation.*, a hub id, or embedded."),
    ] = "embedded",
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("reports"),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One analysis; may be repeated.")
    ] = None,
    stages: Annotated[
        list[str] | None,
        typer.Option(
            "--stage", "--stages", help="One checkpoint, by name or folder; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the analyses.")] = 0,
) -> None:
    """Analyse the shipped checkpoints on a corpus, save the results and write the pages."""
    with bar("getting ready"):
        from lt_interp.methods.registry import ANALYSES
        from lt_interp.report.build import build_pages

        names = _analyses(only)
        checkpoints = chosen_checkpoints(stages, all_=not stages)
        tokenizer = _tokenizer(checkpoints[0])
        require_writable(out)
    rows = encode(open_stories(corpus), tokenizer)
    command = _command(corpus, only or [], stages or [], seed)
    folders = [checkpoint.folder for checkpoint in checkpoints]
    with _overall(len(names)) as begin:
        for name in names:
            title, function = ANALYSES[name]
            advance = begin(title)
            result = _imported(function)(
                folders, rows, seed=seed, progress=advance, command=command
            )
            result.save(out / name)
        build_pages(out, progress=begin("writing pages"))
    typer.echo(str(out / "index.md"))


def _analyses(only: list[str] | None) -> list[str]:
    """The analyses asked for, in the order of the registry.

    Raises:
        InputError: There is none of that name; the message lists them.
    """
    from lt_interp.methods.registry import ANALYSES

    unknown = [name for name in only or () if name not in ANALYSES]
    if unknown:
        raise InputError(f"there is no analysis {unknown[0]!r}; allowed: {', '.join(ANALYSES)}")
    return [name for name in ANALYSES if not only or name in only]


def _imported(path: str) -> Callable[..., Result]:
    """The function that "module:function" names."""
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)


def _tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """What the rows are made with; an analysis refuses a checkpoint with another one."""
    from lt_interp.training.checkpoint import find_tokenizer

    return find_tokenizer(checkpoint.folder, checkpoint.card["tokenizer"]["sha256"])


def _command(corpus: str, only: list[str], stages: list[str], seed: int) -> str:
    """The command that repeats the results, as their page shows it."""
    words = ["lt-interp", "report", "--corpus", _public(corpus), "--seed", str(seed)]
    words += [word for name in only for word in ("--only", name)]
    words += [word for name in stages for word in ("--stage", _public(name))]
    return shlex.join(words)


def _public(path: str) -> str:
    """What the user typed, of a full path only the name: pages are published, machines are not."""
    return Path(path).name if Path(path).expanduser().is_absolute() else path


@contextmanager
def _overall(n_analyses: int) -> Iterator[Callable[[str], Advance]]:
    """One display: a bar for the report and below it one for what is under way.

    Yields:
        What to call as each part begins; it returns what that part calls as it advances.
    """
    with display(*bar_columns()) as progress:
        whole = progress.add_task("report", total=n_analyses + 1)
        part = progress.add_task("", total=None)
        begun = 0

        def begin(title: str) -> Advance:
            nonlocal begun
            begun += 1
            note(f"{title} ({begun} of {n_analyses + 1})")
            progress.update(whole, completed=begun - 1)
            progress.reset(part, total=None, description=title)

            def advance(done: int, total: int | None = None, what: str | None = None, /) -> None:
                described = f"{title}: {what}" if what else title
                progress.update(part, completed=done, total=total, description=described)

            return advance

        yield begin
