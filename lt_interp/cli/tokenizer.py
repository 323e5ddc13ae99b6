"""`lt-interp tokenizer`: build one from a corpus, and see what its size costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lt_interp.cli.choices import CorpusName
from lt_interp.cli.console import note, print_json, print_table
from lt_interp.cli.corpora import training_stories
from lt_interp.cli.outputs import require_file_place, require_new_folder
from lt_interp.cli.progress import Advance, bar
from lt_interp.errors import InputError

if TYPE_CHECKING:
    from lt_interp.corpus.coverage import Coverage
    from lt_interp.corpus.sources import Corpus
    from lt_interp.corpus.tokenizer import Tokenizer

KINDS = ("gpt2-compact", "character", "byte")
_SAY_EVERY = 1_000

tokenizer = typer.Typer(no_args_is_help=True, help="Build a tokenizer, or measure coverage.")

SplitOption = Annotated[
    str | None,
    typer.Option(help="train, validation or all; by default a file whole, else train."),
]


@tokenizer.command()
def build(
    corpus: CorpusName,
    vocab_size: Annotated[
        int | None, typer.Option(help="Ids in all, three special ones included.")
    ] = None,
    kind: Annotated[str, typer.Option(help="gpt2-compact, character or byte.")] = KINDS[0],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to make, by default runs/tokenizers/KIND-SIZE."),
    ] = None,
    split: SplitOption = None,
) -> None:
    """Count a corpus and write a tokenizer of its most frequent tokens as a folder."""
    if kind not in KINDS:
        raise InputError(f"there is no tokenizer kind {kind!r}; allowed: {', '.join(KINDS)}")
    if kind == "gpt2-compact" and vocab_size is None:
        raise InputError(f"a {kind} tokenizer needs --vocab-size, such as 4096")
    if kind == "byte" and vocab_size not in (None, 256):
        raise InputError(f"a byte tokenizer has 256 ids, not {vocab_size}; leave --vocab-size out")
    size = f"-{vocab_size}" if vocab_size else ""
    out = out or Path("runs", "tokenizers", f"{kind}{size}")
    require_new_folder(out)
    stories = training_stories(corpus, split=split)
    built = _build(stories, kind=kind, vocab_size=vocab_size)
    built.save(out)
    typer.echo(f"{out}: {built.kind}, {built.d_vocab:,} ids, sha256 {built.sha256}")


@tokenizer.command()
def coverage(
    corpus: CorpusName,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it too, into this .svg file.")] = None,
    split: SplitOption = None,
) -> None:
    """Show how much of a corpus its most frequent GPT-2 tokens cover, beside the article's."""
    from lt_interp.corpus.coverage import measure_coverage

    if plot is not None:
        require_file_place(plot, suffix=".svg")
    stories = training_stories(corpus, split=split)
    with bar("counting tokens") as advance:
        found = measure_coverage(_counted(stories, advance))
    if plot is not None:
        _draw(found, plot)
    document = _beside_article(found)
    if as_json:
        print_json({"corpus": stories.name, "split": stories.split, **document})
        return
    sizes, shares = document["by_top_n"], document["tokens_needed"]
    print_table(
        ["tokens kept", "coverage (%)", "article's (%)"], [[*row.values()] for row in sizes]
    )
    print_table(
        ["to cover", "tokens needed", "article's"],
        [[f"{share:.1%}", *needed] for share, *needed in (row.values() for row in shares)],
    )
    note(f"{stories.name} ({stories.split}): {found.n_tokens:,} tokens")


def _build(stories: Corpus, *, kind: str, vocab_size: int | None) -> Tokenizer:
    """Count the corpus, with a bar."""
    from lt_interp.corpus.gpt2_compact import build_gpt2_compact
    from lt_interp.corpus.simple_tokenizers import ByteTokenizer, build_character

    if kind == "byte":
        return ByteTokenizer()
    with bar("counting") as advance:
        text = _counted(stories, advance)
        sha256 = stories.sha256
        if kind == "character":
            return build_character(text, corpus_sha256=sha256, vocab_size=vocab_size)
        assert vocab_size is not None
        return build_gpt2_compact(text, corpus_sha256=sha256, vocab_size=vocab_size)


def _counted(stories: Corpus, advance: Advance) -> Iterator[str]:
    """The stories, each thousandth of them said to the bar."""
    for done, story in enumerate(stories.stories(), start=1):
        if done % _SAY_EVERY == 0:
            advance(done, stories.n_stories)
        yield story


def _beside_article(found: Coverage) -> dict[str, Any]:
    """Our coverage with the article's figures in every row, `None` where it has none."""
    from lt_interp.article import article

    published = article()["tokenizer"]
    percent = published["coverage_percent_by_top_n"]
    needed = published["tokens_needed_for_coverage"]
    return {
        "n_tokens": found.n_tokens,
        "by_top_n": [
            {**row, "article_coverage_percent": percent.get(str(row["top_n"]))}
            for row in found.by_top_n()
        ],
        "tokens_needed": [
            {**row, "article_n_tokens_needed": needed.get(str(row["share"]))}
            for row in found.tokens_needed()
        ],
    }


def _draw(found: Coverage, path: Path) -> None:
    """Write the figure."""
    from lt_interp.figures.coverage import SIZE, coverage_curve
    from lt_interp.figures.save import save_svg

    save_svg(path, lambda ax: coverage_curve(found, ax), size=SIZE)
