"""Corpora and token rows as the commands open them: with bars, and with the split they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lt_interp.cli.console import note
from lt_interp.cli.progress import bar

if TYPE_CHECKING:
    from lt_interp.corpus.sources import Corpus
    from lt_interp.corpus.tokenizer import Tokenizer
    from lt_interp.corpus.windows import Rows


_PURPOSES = {"train": "train on", "validation": "validate on"}


def open_stories(spec: str, *, split: str | None = None) -> Corpus:
    """`open_corpus` with a bar."""
    with bar(f"reading {spec}") as advance:
        from lt_interp.corpus.sources import open_corpus

        return open_corpus(spec, split=split, progress=advance)


def encode(corpus: Corpus, tokenizer: Tokenizer, *, width: int | None = None) -> Rows:
    """`open_rows` with a bar."""
    with bar(f"encoding {corpus.name} ({corpus.split})") as advance:
        from lt_interp.corpus.windows import ROW_WIDTH, open_rows

        return open_rows(corpus, tokenizer, width=width or ROW_WIDTH, progress=advance)


def is_single_file(spec: str) -> bool:
    """Whether a source has no splits of its own."""
    from lt_interp.corpus.sources import EMBEDDED, local_path

    return spec == EMBEDDED or local_path(spec).is_file()


def training_stories(spec: str, *, split: str | None = None) -> Corpus:
    """What vocabularies are counted on: a single file whole, else the training split.

    Args:
        spec: The source.
        split: A split that the user asked for instead.
    """
    return open_split(spec, split=split or ("all" if is_single_file(spec) else "train"))


def open_split(spec: str, *, split: str | None = None) -> Corpus:
    """`open_stories`, saying how a single file was split if a part of it was asked for."""
    stories = open_stories(spec, split=split)
    if split in ("train", "validation") and is_single_file(spec):
        note(f"{_split_rule(stories)}: {stories.n_stories:,} stories to {_PURPOSES[split]}")
    return stories


def split_rule(train: Corpus, validation: Corpus) -> str:
    """One line that says how a single file was split, and into what."""
    return (
        f"{_split_rule(train)}: {train.n_stories:,} to train on, "
        f"{validation.n_stories:,} to validate on"
    )


def _split_rule(corpus: Corpus) -> str:
    from lt_interp.corpus.sources import VALIDATION_ONE_IN

    return (
        f"note: {corpus.name} is a single file; about one story in {VALIDATION_ONE_IN} is held out "
        "for validation, chosen by the SHA-256 of the story, the same ones every time"
    )
