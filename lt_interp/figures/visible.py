"""Tokens and samples as readers see them, the same in figures as on pages."""

from __future__ import annotations

import re
import unicodedata

SPACE, NEWLINE = "·", "⏎"
LONGEST = 28  # characters of a token in a figure; words have fewer
_VISIBLE = {"\n": NEWLINE, "\t": "⇥", "\r": "␍"}
# Spaces that would be lost or not be seen: at an end, or more than one in a row.
_LOST_SPACES = re.compile(r"^ +| +$| {2,}")


def visible(text: str) -> str:
    r"""A string as the pages show it: one line, every character seen.

    A newline is ⏎, a tab ⇥, a space at either end or beside another one ·, and a character that
    has no picture of its own is written by its number.

    Example:
        >>> visible(" little\n")
        '·little⏎'
    """
    text = _LOST_SPACES.sub(lambda spaces: SPACE * len(spaces[0]), text)
    return "".join(_character(character) for character in text)


def label(text: str, longest: int = LONGEST) -> str:
    """A string as figures show it, where there is room for so many characters."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def seen(text: str) -> str:
    """A text with lines as it is, but every character in it seen, as in `visible`."""
    for character in set(text) - {"\n"}:
        if (shown := _character(character)) != character:
            text = text.replace(character, shown)
    return text


def _character(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    # Control, format, surrogate, private, unassigned; line and paragraph ends; odd spaces.
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} or (
        character.isspace() and character != " "
    ):
        return f"\\u{ord(character):04x}"
    return character
