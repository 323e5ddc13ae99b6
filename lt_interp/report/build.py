"""Pages from saved results, and from nothing else."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jinja2 import UndefinedError

from lt_interp.errors import InputError
from lt_interp.figures.save import save_svg
from lt_interp.files import write_text
from lt_interp.methods.result import Result
from lt_interp.methods.workers import Share, Workers, here
from lt_interp.reading import place_in
from lt_interp.report.ablations import ABLATIONS
from lt_interp.report.activation_patching import ACTIVATION_PATCHING
from lt_interp.report.article import ARTICLE_PAGE
from lt_interp.report.attention import ATTENTION
from lt_interp.report.components import COMPONENTS_PAGE
from lt_interp.report.evolution import EVOLUTION
from lt_interp.report.families import family_context, family_links
from lt_interp.report.index import index_context
from lt_interp.report.kv_cache import KV_CACHE
from lt_interp.report.length_generalisation import LENGTH_GENERALISATION
from lt_interp.report.logit_lens import LOGIT_LENS
from lt_interp.report.moe_routing import MOE_ROUTING
from lt_interp.report.page import Page
from lt_interp.report.position_blindness import POSITION_BLINDNESS
from lt_interp.report.provenance import corpus_sentences, how_made
from lt_interp.report.render import render
from lt_interp.report.two_sentences import TWO_SENTENCES

LOGGER = logging.getLogger(__name__)
TITLE = "The ladder at a glance"
RESULT = "result.json"
# What a page meets in tables that are not those of its analysis.
_NOT_OURS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError,
    UndefinedError,
)  # fmt: skip

# Columns that name models or parts of them: each gets a line, a panel or a page's section.
_MODELS = {"checkpoint", "stage", "layer", "head", "expert", "point", "component", "prompt"}
MOST_MODELS = 200
# The figures of a page, all together; those of this project's pages take a fifth at most.
MOST_PANELS = 200
MOST_INCHES = 30_000  # square

# The page of every analysis, in the order of the index.
PAGES: dict[str, Page] = {
    "components": COMPONENTS_PAGE,
    "two_sentences": TWO_SENTENCES,
    "ablations": ABLATIONS,
    "length_generalisation": LENGTH_GENERALISATION,
    "kv_cache": KV_CACHE,
    "evolution": EVOLUTION,
    "position_blindness": POSITION_BLINDNESS,
    "attention": ATTENTION,
    "logit_lens": LOGIT_LENS,
    "activation_patching": ACTIVATION_PATCHING,
    "moe_routing": MOE_ROUTING,
    "article": ARTICLE_PAGE,
}


def build_pages(
    out: str | Path,
    *,
    family: str = "ladder",
    progress: Callable[[int, int, str], None] | None = None,
    workers: Workers | None = None,
) -> list[Path]:
    """Draw the figures and write the pages of every saved result under a folder.

    The same results give the same bytes; no model and no corpus is opened.

    Args:
        out: Holds `<analysis>/result.json`; the pages are written beside those, and `index.md`.
        family: Whose results they are. Those of another article than the ladder's stand in a
            folder of its name below the ladder's; its page is linked, not written again.
        progress: Called with how many pages are done, how many there are, and one under way.
        workers: Processes for the pages, which are otherwise written here, one after the other.

    Returns:
        The pages that were written, the index first.

    Raises:
        InputError: The folder holds no result, or one that is damaged.
    """
    return build_reports({family: Path(out)}, progress=progress, workers=workers)


def build_reports(
    folders: Mapping[str, Path],
    *,
    progress: Callable[[int, int, str], None] | None = None,
    workers: Workers | None = None,
) -> list[Path]:
    """What `build_pages` does, for several articles at once, so that every process has work.

    Args:
        folders: Of the results, by family; the ladder's, whose index links to those below, last.
        progress: As for `build_pages`.
        workers: Likewise.

    Returns:
        The pages of each, its index first.

    Raises:
        InputError: A folder holds no result, or one that is damaged.
    """
    saved = [(folder, name) for folder in folders.values() for name in _saved(folder)]
    done: dict[tuple[Path, str], Result] = {}

    def report(place: int, _: float) -> None:
        if progress is not None:
            progress(len(done), len(saved), saved[place][1])

    run = workers.run if workers else here
    for place, result, cpu_seconds in run(_saved_page, saved, report):
        LOGGER.info("page of %s: %.2f s", saved[place][1], cpu_seconds)
        done[saved[place]] = result
    if progress is not None:
        progress(len(saved), len(saved), "index")
    written = []
    for family, folder in folders.items():
        names = [name for of, name in saved if of == folder]
        with _drawn_from(f"the results in {folder}", "lt-interp report"):
            index = _index(folder, family, {name: done[folder, name] for name in names})
            write_text(folder / "index.md", index)
        written += [folder / "index.md", *(folder / name / "report.md" for name in names)]
    return written


def _saved(folder: Path) -> list[str]:
    """The names of the results in a folder, in the order of the index."""
    names = [name for name in PAGES if (place_in(folder, name) / RESULT).is_file()]
    if not names:
        raise InputError(
            f"{folder} holds no saved result; expected one of "
            f"{', '.join(f'{name}/{RESULT}' for name in PAGES)}: run the analyses first"
        )
    return names


def _index(out: Path, family: str, results: Mapping[str, Result]) -> str:
    """The front page of an article."""
    if family != "ladder":
        return render("family.md.j2", family_context(family, results, PAGES))
    context = {"title": TITLE, "families": family_links(out), **index_context(results, PAGES)}
    return render("index.md.j2", context)


@contextmanager
def _drawn_from(what: str, command: str) -> Iterator[None]:
    """Say that results are not what a page needs, where that is what went wrong."""
    try:
        yield
    except _NOT_OURS as error:
        if isinstance(error, InputError):
            raise
        reason = f"{type(error).__name__}: {error}"[:200]
        raise InputError(
            f"no page can be drawn from {what} ({reason}); another version made it, or it was "
            f"changed: run {command} again, or delete the folder"
        ) from error


def _saved_page(saved: tuple[Path, str], share: Share) -> Result:
    """The page of one saved result, and the result."""
    out, name = saved
    result = Result.load(out / name)
    with _drawn_from(str(out / name / RESULT), f"lt-interp analyze {name}"):
        _build_page(out / name, PAGES[name], result)
    return result


def _require_few(n: int, what: str, most: int) -> None:
    """Refuse what would take minutes to draw and no browser would show."""
    if n > most:
        raise ValueError(f"{n:,} {what}; a page shows {most:,} at most")


def _build_page(folder: Path, page: Page, result: Result) -> None:
    """The figures and the page of one result."""
    for table in result.tables.values():
        for column in _MODELS & set(table):
            _require_few(table[column].nunique(), f"kinds of {column}", MOST_MODELS)
    drawings = page.drawings(result)
    _require_few(sum(math.prod(each.panels) for each in drawings.values()), "panels", MOST_PANELS)
    area = sum(math.prod(each.size) for each in drawings.values())
    _require_few(math.ceil(area), "square inches of figures", MOST_INCHES)
    for file, drawing in drawings.items():
        if Path(file).name != file:
            raise ValueError(f"{file!r} is no name of a file")
        save_svg(folder / file, drawing.draw, size=drawing.size, panels=drawing.panels)
    context = {"title": page.title, **page.context(result)}
    if "corpus" in result.meta:
        context = {
            "corpus": corpus_sentences(result.meta), "made": how_made(result.meta), **context
        }  # fmt: skip
    write_text(folder / "report.md", render(page.template, context))
