"""The patterns of single prompts, cell by cell, for heatmaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lt_interp.article import article
from lt_interp.errors import InputError
from lt_interp.methods.attention.patterns import patterns
from lt_interp.model.stage_model import StageModel

LONGEST = 64  # tokens: a heatmap of more has labels that nobody can read

PATTERNS = {
    "prompt": str,
    "layer": int,
    "head": int,
    "query": int,
    "key": int,
    "query_token": str,
    "key_token": str,
    "weight": float,
}
PROMPTS = {"prompt": str, "n_tokens": int, "shown": bool, "reason": str}


def all_prompts(given: Sequence[str] | None) -> list[str]:
    """The article's prompts and then those given, each once.

    Raises:
        InputError: A single text is given where a list is meant.
    """
    if isinstance(given, str):
        raise InputError(f"prompts is a list of texts; write [{given!r}]")
    return list(dict.fromkeys([*article()["heatmap_prompts"], *(given or ())]))


def prompt_rows(
    model: StageModel, prompts: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of `patterns` (keys up to the query's own only) and of `prompts`.

    A prompt of the article that the model cannot read gets a reason; one that was asked for
    is refused.

    Raises:
        InputError: A prompt that was given has no tokens or too many.
    """
    cells: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for prompt in prompts:
        n_tokens, reason = _fits(model, prompt)
        if reason and prompt not in article()["heatmap_prompts"]:
            raise InputError(f"prompt {prompt!r}: {reason}")
        shown.append(
            {"prompt": prompt, "n_tokens": n_tokens, "shown": not reason, "reason": reason}
        )
        if not reason:
            cells += _cells(model, prompt)
    return cells, shown


def _fits(model: StageModel, prompt: str) -> tuple[int | None, str | None]:
    """How many tokens a prompt has, and why it cannot be shown, if it cannot."""
    if model.tokenizer is None:
        return None, "the model has no tokenizer; load it from a checkpoint"
    n_tokens = len(model.tokenizer.encode(prompt))
    most = min(LONGEST, model.config.n_ctx)
    if not 1 <= n_tokens <= most:
        return n_tokens, f"{n_tokens} tokens; 1 to {most} are allowed, so choose another"
    try:
        model.input_to_tokens(prompt)
    except InputError as error:
        return n_tokens, str(error)
    return n_tokens, None


def _cells(model: StageModel, prompt: str) -> Iterable[dict[str, Any]]:
    tokens = model.to_tokens(prompt)
    words = model.to_str_tokens(tokens)
    found = patterns(model, tokens)[:, 0]
    for layer, by_head in enumerate(found.tolist()):
        for head, by_query in enumerate(by_head):
            for query, weights in enumerate(by_query):
                for key in range(query + 1):
                    yield {
                        "prompt": prompt,
                        "layer": layer,
                        "head": head,
                        "query": query,
                        "key": key,
                        "query_token": words[query],
                        "key_token": words[key],
                        "weight": weights[key],
                    }
