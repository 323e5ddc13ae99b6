"""The figures of the articles that the stages follow, to set beside ours."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def article() -> dict[str, Any]:
    """All that the ladder's published: parameters, perplexities, curves, prompts, routing."""
    return _read("article.json")


def article_stage(stage_id: str) -> dict[str, Any]:
    """What the ladder's article says of one stage; empty for a stage that it does not have."""
    return next((stage for stage in article()["stages"] if stage["id"] == stage_id), {})


def article_parameters(stage_id: str) -> dict[str, int]:
    """How many parameters a stage's article counts: by component where it does, and in `total`.

    Components are named as in `lt_interp.methods.parameter_table`; those within a block are of one.
    """
    for other in _read("articles.json").values():
        if other["stage"] == stage_id and "parameters" in other:
            return {**other["components"], "total": other["parameters"]}
    params = article_stage(stage_id).get("params")
    return {} if params is None else {"total": params}


def article_title(family: str) -> str:
    """What an article is called.

    Args:
        family: Whose: `"numpy_gpt"`, `"char_ablations"` or `"four_layer_gpt"`.
    """
    return _read("articles.json")[family]["title"]


@cache
def _read(name: str) -> dict[str, Any]:
    return json.loads(files("lt_interp").joinpath(name).read_text(encoding="utf-8"))
