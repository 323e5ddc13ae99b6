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
    from lt_interp.methods.groups import Asked, Subject


def write_pages(
    command: str,
    analyses: Mapping[str, Mapping[str, Mapping[str, Any]]],
    corpus: str,
    out: Path,
    *,
    only: Sequence[str] | None,
    stages: Sequence[str] | None,
    seed: int,
    workers: int | None,
    device: str,
) -> Path:
    """Run analyses, save their results, and write every page under a folder.

    Args:
        command: `report` or `analyze`.
        analyses: For each article the further keywords of its analyses, by their names; the
            ladder's results stand in the folder, another's in one of its name below.
        corpus: As the user typed it.
        out: The folder.
        only: What the user typed of `--only`.
        stages: Checkpoints by name or folder; all that are shipped if there are none.
        seed: Of the analyses.
        workers: Models measured at a time; if none is given as many as there are cores, and one
            on a CUDA device.
        device: Where models compute, as the user said it.

    Returns:
        The front page of the last article.
    """
    with bar("getting ready"):
        from lt_interp.files import shown
        from lt_interp.methods.analyze import family_folder, forget_parts, row_width, tokenizer_of
        from lt_interp.methods.groups import Asked, Subject, analyze_group_into, grouped
        from lt_interp.methods.workers import Workers, n_cores
        from lt_interp.report.build import build_reports

        chosen = {
            family: chosen_checkpoints(
                stages, all_=False, device=device, family=None if stages else family
            )
            for family in analyses
        }
        tokenizers = {family: tokenizer_of(models[0]) for family, models in chosen.items()}
        require_writable(out)
    stories = open_stories(corpus)
    subjects = [
        Subject(
            family=family, checkpoints=checkpoints, seed=seed, out=family_folder(out, family),
            rows=encode(stories, tokenizers[family], width=row_width(checkpoints)),
        )
        for family, checkpoints in chosen.items()
    ]  # fmt: skip
    on_cpu = subjects[0].checkpoints[0].device == "cpu"  # as all others
    said = [*_words("--only", only), *_words("--stage", stages)]
    asked = [
        Asked(name, shown(_again(command, name, options, subject, corpus, said)), options, subject)
        for subject in subjects
        for name, options in analyses[subject.family].items()
    ]
    processes = Workers(workers or (n_cores() if on_cpu else 1), prepare=quiet_libraries)
    groups = grouped(asked, n_processes=processes.n)
    with processes, _overall(len(groups) + 1) as begin:
        for group in groups:
            analyze_group_into(group, workers=processes, progress=begin(_title(group)))
        folders = {subject.family: subject.out for subject in subjects}
        build_reports(folders, progress=begin("writing pages"), workers=processes)
    for subject in subjects:
        forget_parts(subject.out, analyses[subject.family])
    return subjects[-1].out / "index.md"


def redraw_pages(out: Path) -> Path:
    """Write every page under a folder from the results saved there; no model is opened.

    Returns:
        The front page.
    """
    with bar("writing pages") as advance:
        from lt_interp.methods.analyze import family_folder
        from lt_interp.methods.registry import OTHERS
        from lt_interp.methods.result import RESULT
        from lt_interp.report.build import build_reports

        require_writable(out)
        below = {family: family_folder(out, family) for family in OTHERS}
        saved = {name: place for name, place in below.items() if any(place.glob(f"*/{RESULT}"))}
        build_reports({**saved, "ladder": out}, progress=advance)
        return out / "index.md"


def _title(group: Sequence[Asked]) -> str:
    from lt_interp.methods.registry import ANALYSES

    title = f"{len(group)} analyses side by side"
    if len(group) == 1:
        title = ANALYSES[group[0].name].title
    families = {each.subject.family for each in group}
    return title if len(families) > 1 or "ladder" in families else f"{families.pop()}: {title}"


def _again(
    command: str,
    name: str,
    options: Mapping[str, Any],
    subject: Subject,
    corpus: str,
    said: Sequence[str],
) -> str:
    """The command that repeats an analysis.

    Args:
        command: `report` or `analyze`.
        name: Of the analysis.
        options: Its further keywords.
        subject: What it looks at.
        corpus: As the user typed it.
        said: The words behind `--only` and `--stage`.
    """
    words = ["lt-interp", command, *([name] if command == "analyze" else [])]
    words += [] if subject.family == "ladder" else ["--family", subject.family]
    words += ["--corpus", _public(corpus), "--seed", str(subject.seed)]
    device = subject.checkpoints[0].device
    words += [] if device == "cpu" else ["--device", device]
    return shlex.join([*words, *said, *_chosen(options)])


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
