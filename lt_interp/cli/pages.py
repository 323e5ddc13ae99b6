"""What `report` and `analyze` share: analyses under one display, their results, the pages."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lt_interp.cli.choices import chosen_checkpoints
from lt_interp.cli.console import note
from lt_interp.cli.corpora import encode, open_stories
from lt_interp.cli.outputs import require_writable
from lt_interp.cli.progress import Advance, bar, bar_columns, display
from lt_interp.cli.quiet import quiet_libraries

if TYPE_CHECKING:
    from lt_interp.methods.groups import Asked


def write_pages(
    command: str,
    analyses: Mapping[str, Mapping[str, Any]],
    corpus: str,
    out: Path,
    *,
    only: Sequence[str] | None,
    stages: Sequence[str] | None,
    seed: int,
    workers: int | None,
    device: str,
    family: str = "ladder",
) -> Path:
    """Run analyses, save their results, and write every page under a folder.

    Args:
        command: `report` or `analyze`.
        analyses: The further keywords of each analysis, by its name.
        corpus: As the user typed it.
        out: The folder.
        only: What the user typed of `--only`.
        stages: Checkpoints by name or folder; all that are shipped if there are none.
        seed: Of the analyses.
        workers: Models measured at a time; if none is given as many as there are cores, and one
            on a CUDA device.
        device: Where models compute, as the user said it.
        family: Whose article's, where no stages are named; below the folder if not the ladder's.

    Returns:
        The front page.
    """
    with bar("getting ready"):
        from lt_interp.files import shown
        from lt_interp.methods.analyze import family_folder, forget_parts, row_width, tokenizer_of
        from lt_interp.methods.groups import Asked, analyze_group_into, grouped
        from lt_interp.methods.workers import Workers, n_cores
        from lt_interp.report.build import build_pages

        checkpoints = chosen_checkpoints(
            stages, all_=False, device=device, family=None if stages else family
        )
        tokenizer = tokenizer_of(checkpoints[0])
        require_writable(out)
    place = family_folder(out, family)
    of_family, of_article = ([], "") if place == out else (["--family", family], f"{family}: ")
    rows = encode(open_stories(corpus), tokenizer, width=row_width(checkpoints))
    on_cpu = all(checkpoint.device == "cpu" for checkpoint in checkpoints)
    processes = Workers(workers or (n_cores() if on_cpu else 1), prepare=quiet_libraries)
    choices = [*of_family, "--corpus", _public(corpus), "--seed", str(seed)]
    choices += [] if on_cpu else ["--device", checkpoints[0].device]
    choices += [*_words("--only", only), *_words("--stage", stages)]
    asked = []
    for name, options in analyses.items():
        words = ["lt-interp", command, *([name] if command == "analyze" else [])]
        again = shown(shlex.join([*words, *choices, *_chosen(options)]))
        asked.append(Asked(name, again, dict(options)))
    groups = grouped(asked, n_models=len(checkpoints), n_processes=processes.n)
    with processes, _overall(len(groups) + 1) as begin:
        for group in groups:
            analyze_group_into(
                place, group, checkpoints, rows, seed=seed, workers=processes,
                progress=begin(of_article + _title(group)),
            )  # fmt: skip
        advance = begin(f"{of_article}writing pages")
        pages = build_pages(place, family=family, progress=advance, workers=processes)
    forget_parts(place, analyses)
    return pages[0]


def redraw_pages(out: Path) -> Path:
    """Write every page under a folder from the results saved there; no model is opened.

    Returns:
        The front page.
    """
    with bar("writing pages") as advance:
        from lt_interp.methods.analyze import family_folder
        from lt_interp.methods.registry import OTHERS
        from lt_interp.methods.result import RESULT
        from lt_interp.report.build import build_pages

        require_writable(out)
        for family in OTHERS:
            place = family_folder(out, family)
            if any(place.glob(f"*/{RESULT}")):
                build_pages(place, family=family, progress=advance)
        return build_pages(out, progress=advance)[0]


def _title(group: Sequence[Asked]) -> str:
    from lt_interp.methods.registry import ANALYSES

    if len(group) == 1:
        return ANALYSES[group[0].name].title
    return f"{len(group)} analyses side by side"


def _chosen(options: Mapping[str, Any]) -> list[str]:
    """The words behind an analysis's further keywords."""
    words = [word for text in options.get("prompts", ()) for word in ("--prompt", text)]
    return [*words, "--tokens", str(options["tokens"])] if "tokens" in options else words


def _words(flag: str, values: Sequence[str] | None) -> list[str]:
    return [word for value in values or () for word in (flag, _public(value))]


def _public(path: str) -> str:
    """What the user typed, of a full path only the name: pages are published, machines are not."""
    return Path(path).name if Path(path).is_absolute() or path.startswith("~") else path


@contextmanager
def _overall(n_parts: int) -> Iterator[Callable[[str], Advance]]:
    """One display: a bar for the report and below it one for what is under way.

    Yields:
        What to call as each part begins; it returns what that part calls as it advances.
    """
    with display(*bar_columns()) as progress:
        whole = progress.add_task("report", total=n_parts)
        part = progress.add_task("", total=None)
        begun = 0

        def begin(title: str) -> Advance:
            nonlocal begun
            begun += 1
            note(f"{title} ({begun} of {n_parts})")
            progress.update(whole, completed=begun - 1)
            progress.reset(part, total=None, description=title)

            def advance(done: int, total: int | None = None, what: str | None = None, /) -> None:
                described = f"{title}: {what}" if what else title
                progress.update(part, completed=done, total=total, description=described)

            return advance

        yield begin
