"""The figures of the article that the ladder follows, to set beside ours."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def article() -> dict[str, Any]:
    """All published figures: parameter counts, perplexities, curves, prompts, routing counts."""
    return json.loads(files("lt_interp").joinpath("article.json").read_text(encoding="utf-8"))


def article_stage(stage_id: str) -> dict[str, Any]:
    """What the article says of one stage; empty for a stage that it does not have."""
    return next((stage for stage in article()["stages"] if stage["id"] == stage_id), {})
