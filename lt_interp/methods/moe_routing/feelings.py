"""The feeling words: what a child's story says of how someone feels, or shows that they feel it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def feeling_words() -> frozenset[str]:
    """The words of `feelings.json`, in lower case; it says how they were chosen."""
    text = files(__package__).joinpath("feelings.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["words"])
