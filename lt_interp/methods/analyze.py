"""Run an analysis by its name: from a notebook in one line, or into a folder that can continue."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from lt_interp.corpus.sources import Corpus, open_corpus
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import ROW_WIDTH, Rows, open_rows
from lt_interp.errors import InputError
from lt_interp.files import remove_unfinished
from lt_interp.methods.checkpoints import Checkpoint, Models, find_checkpoints
from lt_interp.methods.progress_bar import progress_bar
from lt_interp.methods.registry import Analysis, get_analysis
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.workers import Workers
from lt_interp.reading import place_in
from lt_interp.training.checkpoint import find_tokenizer

PARTS = ".parts"  # what is finished of analyses that are not, in the folder of the results


def analyze(
    name: str,
    models: Models,
    *,
    corpus: str | Path | Corpus | Rows = "embedded",
    seed: int = 0,
    progress: Progress | bool | None = None,
    **options: Any,
) -> Result:
    """Run an analysis on one model or several.

    Args:
        name: Of the analysis, such as `"attention"`; `lt_interp.methods.registry` lists them.
        models: Names of shipped checkpoints, folders, or models in memory; one or several.
        corpus: The stories, as `lt_interp.corpus` takes them, or token rows.
        seed: Of everything that is drawn at random.
        progress: `True` shows a bar, in a notebook or a terminal. A function is called with how
            much is done, how much there is, and what is under way.
        options: Further keywords of the analysis.

    Raises:
        InputError: The analysis or a model is unknown, or the models do not fit the stories.

    Example:
        >>> analyze("attention", "09_multi_head").tables["head_scores"]  # doctest: +SKIP
    """
    written, analysis = get_analysis(name)
    function = _function(written, analysis, options)
    checkpoints = find_checkpoints(models)
    with _shown(progress, written.replace("_", " ")) as advance:
        rows = corpus if isinstance(corpus, Rows) else _rows(corpus, checkpoints)
        return function(models, rows, seed=seed, progress=advance, **options)


def analyze_into(
    out: Path,
    name: str,
    models: Models,
    rows: Rows,
    *,
    seed: int,
    progress: Progress | None,
    command: str,
    workers: Workers | None = None,
    **options: Any,
) -> Result:
    """Run an analysis and save its result as `<out>/<name>/`.

    Each model's tables are kept as it is finished; interrupted and begun again, the analysis
    continues after the last one. `forget_parts` deletes them when the work is complete. An analysis
    that reads the results of others finds them in `out`. With workers several models are measured
    at a time.
    """
    written, analysis = get_analysis(name)
    for name_of_folder in (written, f"{PARTS}/{written}"):
        place_in(out, name_of_folder)
    if analysis.reads_results:
        options = {"results": out, **options}
    result = _function(written, analysis, options)(
        models, rows, seed=seed, progress=progress, command=command,
        keep=out / PARTS / written, workers=workers, **options,
    )  # fmt: skip
    result.save(out / written)
    return result


def family_folder(out: Path, family: str) -> Path:
    """Where the results of an article stand: the ladder's in the folder, another's one below."""
    return out if family == "ladder" else place_in(out, family)


def forget_parts(out: Path, names: Iterable[str]) -> None:
    """Delete what `analyze_into` kept of analyses that are complete, and what a kill left."""
    remove_unfinished(out)
    for name in names:
        shutil.rmtree(out / PARTS / name, ignore_errors=True)
    if (out / PARTS).is_dir() and not any((out / PARTS).iterdir()):
        (out / PARTS).rmdir()


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    """What rows for a model are made with.

    Raises:
        InputError: A model in memory has none.
    """
    if checkpoint.folder is not None:
        return find_tokenizer(checkpoint.folder, checkpoint.card["tokenizer"]["sha256"])
    tokenizer = checkpoint.load().tokenizer
    if tokenizer is None:
        raise InputError(f"{checkpoint.name} has no tokenizer; pass token rows as the corpus")
    return tokenizer


def _shown(progress: Progress | bool | None, what: str) -> AbstractContextManager[Progress | None]:
    """What an analysis is to call: a bar's function, the user's own, or none."""
    if progress is True:
        return progress_bar(what)
    return nullcontext(progress or None)


def row_width(checkpoints: Iterable[Checkpoint]) -> int:
    """The width of rows that every model can read: the article's, or that of a shorter context."""
    return min([ROW_WIDTH, *(checkpoint.config.n_ctx for checkpoint in checkpoints)])


def _rows(corpus: str | Path | Corpus, checkpoints: Sequence[Checkpoint]) -> Rows:
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    return open_rows(opened, tokenizer_of(checkpoints[0]), width=row_width(checkpoints))


def _function(name: str, analysis: Analysis, options: dict[str, Any]) -> Callable[..., Result]:
    """The analysis itself, its options checked."""
    unknown = sorted(set(options) - set(analysis.options))
    if unknown:
        allowed = ", ".join(analysis.options) or "none"
        raise InputError(f"{name} has no option {unknown[0]!r}; its options: {allowed}")
    module, _, function = analysis.function.partition(":")
    return getattr(importlib.import_module(module), function)
