"""Text that others wrote, made legible and inert inside a markdown page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lt_interp.figures.visible import visible
from lt_interp.report.numbers import MISSING

SHORT_SAMPLE = 60  # characters of a sample in a table

# What markdown, GitHub or a site generator reads as more than itself, inside a line. An underscore
# within a word is itself, and so is a colon before a space.
_ACTIVE = re.compile(r"[&<>|`*\[\]\\~$@#{}]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|(?<=www)\.")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str) -> str:
    """Text that stands within a line as it is: no markup, no HTML, no end of a table's cell."""
    return _ACTIVE.sub(lambda found: _NAMED.get(found[0], f"&#{ord(found[0])};"), visible(text))


def code(text: str) -> str:
    """A token, a sample or a name as a code span, the same in a table as outside one.

    It is written as `<code>` with character references: a backtick span cannot hold every string
    (a pipe ends a table's cell inside it, a backtick ends the span).

    Example:
        >>> code(" a|b")
        '<code>·a&#124;b</code>'
    """
    return f"<code>{plain(text)}</code>"


def short_sample(sample: Any) -> str:
    """What a stage wrote, as much of it as a table's cell has room for; a dash for nothing."""
    if pd.isna(sample):
        return MISSING
    return code(sample) if len(sample) <= SHORT_SAMPLE else code(sample[:SHORT_SAMPLE]) + "…"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, align: str) -> str:
    """A markdown table.

    Args:
        headers: Titles of the columns, as markdown.
        rows: Cells as markdown, as many in each row as there are headers.
        align: One letter a column, `l` or `r`.

    Returns:
        Lines without a final newline.
    """
    if len(align) != len(headers):
        raise ValueError(f"align {align!r} names {len(align)} columns, not {len(headers)}")
    lines = [headers, [{"l": ":--", "r": "--:"}[letter] for letter in align], *rows]
    for line in lines:
        if len(line) != len(headers):
            raise ValueError(f"a row has {len(line)} cells, the table {len(headers)}: {line}")
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listing(words: Sequence[str]) -> str:
    """Words joined as in a sentence: `"a"`, `"a and b"`, `"a, b and c"`."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
