"""Direct logit attribution over a corpus and on prompts, where the parts add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lt_interp.methods.logit_lens.attribution import (
    TOLERANCE,
    Attribution,
    Component,
    attribute,
    components,
)
from lt_interp.methods.logit_lens.corpus import Sample
from lt_interp.methods.logit_lens.prompts import digits
from lt_interp.methods.significance import sign_flip_p
from lt_interp.methods.statistics import story_bootstrap
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

_PART = {"component": str, "layer": int, "head": int}
ATTRIBUTION = {
    **_PART,
    "contribution_logits": float,
    "low": float,
    "high": float,
    "shuffled_contribution_logits": float,
    "shuffled_low": float,
    "shuffled_high": float,
    "p": float,
    "n_tokens": int,
    "n_stories": int,
}
ON_PROMPTS = {
    "prompt": str,
    "position": int,
    "token": str,
    "next_token": str,
    **_PART,
    "contribution_logits": float,
}
APPLIES = {
    "attribution_applies": bool,
    "residual_error": float,
    "logit_error": float,
    "tolerance": float,
    "logit_minus_mean": float,
    "n_tokens": int,
    "reason": str,
}


def attribution_rows(
    model: StageModel,
    sample: Sample,
    prompts: Mapping[str, Int[Tensor, "1 pos"]],
    *,
    seed: int,
    report: Callable[[int], None],
) -> dict[str, list[dict[str, Any]]]:
    """The rows of a model in `attribution`, `attribution_prompts` and `attribution_applies`.

    Args:
        model: A stage whose unembedding reads `d_model` numbers.
        sample: The tokens of the corpus.
        prompts: Ids by prompt.
        seed: Of the resampling of stories.
        report: Called with how many tokens more are done.

    Returns:
        Rows by table; where the parts do not add up, none but the one that says so.
    """
    found = _measure(model, sample, report)
    residual_error = TOLERANCE * max(one.residual_error for one in found)
    logit_error = TOLERANCE * max(one.logit_error for one in found)
    applies = max(residual_error, logit_error) <= TOLERANCE
    logits = torch.cat([one.logit for one in found])
    check = {
        "attribution_applies": applies, "residual_error": residual_error,
        "logit_error": logit_error, "tolerance": TOLERANCE, "n_tokens": len(logits),
        "logit_minus_mean": float(logits.double().mean()) if applies else None,
        "reason": None if applies else _refusal(residual_error, model.config),
    }  # fmt: skip
    if not applies:
        return {"attribution": [], "attribution_prompts": [], "attribution_applies": [check]}
    return {
        "attribution": _corpus(components(model.config), sample, found, seed),
        "attribution_prompts": [
            row for prompt, tokens in prompts.items() for row in _prompt(model, prompt, tokens)
        ],
        "attribution_applies": [check],
    }


def _measure(model: StageModel, sample: Sample, report: Callable[[int], None]) -> list[Attribution]:
    """The shares in every batch, up to the first that does not add up: it is enough to refuse."""
    found = []
    for tokens, targets, part in sample.batches():
        device = model.W_U.device
        others = torch.from_numpy(sample.shuffled[part]).to(device)
        found.append(attribute(model, tokens.to(device), targets.to(device), others))
        report(targets.numel())
        if max(found[-1].residual_error, found[-1].logit_error) > 1:
            break
    return found


def _refusal(residual_error: float, config: ModelConfig) -> str:
    why = "its parts replace what came before them instead of adding to it"
    if config.has_residual:
        why = "a norm after every sum rewrites what was added before"
    return (
        "what its parts write does not add up to what it predicts from: the sum is off by up to "
        f"{100 * residual_error:.3g}% of the largest number in it, and rounding allows "
        f"{100 * TOLERANCE:g}%; {why}"
    )


def _corpus(
    parts: list[Component], sample: Sample, found: list[Attribution], seed: int
) -> list[dict[str, Any]]:
    """Means over the tokens of the corpus."""
    n = len(parts)
    both = [torch.cat([one.shares, one.shuffled]) for one in found if one.shuffled is not None]
    totals = sample.by_story(torch.cat(both, dim=1).double().cpu().numpy())
    counts = np.bincount(sample.story.ravel())
    interval = story_bootstrap(totals, counts, seed=seed)
    p = sign_flip_p(totals[:, :n] - totals[:, n:], seed=seed)
    low, high = interval.low, interval.high
    return [
        {
            "component": part.name, "layer": part.layer, "head": part.head,
            "contribution_logits": float(interval.estimate[place]),
            "low": float(low[place]), "high": float(high[place]),
            "shuffled_contribution_logits": float(interval.estimate[n + place]),
            "shuffled_low": float(low[n + place]), "shuffled_high": float(high[n + place]),
            "p": None if part.constant else float(p[place]),
            "n_tokens": sample.n_tokens, "n_stories": len(counts),
        }
        for place, part in enumerate(parts)
    ]  # fmt: skip


def _prompt(model: StageModel, prompt: str, tokens: Int[Tensor, "1 pos"]) -> list[dict[str, Any]]:
    """Every part's share of the next token's logit, at every position that has one."""
    if tokens.shape[1] < 2:
        return []
    shares = attribute(model, tokens[:, :-1], tokens[:, 1:]).shares
    strings = [model.to_single_str_token(int(token)) for token in tokens[0]]
    return [
        {
            "prompt": prompt, "position": position, "token": strings[position],
            "next_token": strings[position + 1], "component": part.name, "layer": part.layer,
            "head": part.head, "contribution_logits": digits(shares[place, position]),
        }
        for place, part in enumerate(components(model.config))
        for position in range(len(strings) - 1)
    ]  # fmt: skip
