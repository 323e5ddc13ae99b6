"""How stages learned: validation perplexity over training, ours and the published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lt_interp.article import article
from lt_interp.methods.checkpoints import Checkpoint, one_a_stage
from lt_interp.methods.result import make_table
from lt_interp.training.metrics import read_metrics

# One step of the article predicts 255 tokens in each of 64 rows.
ARTICLE_STEP_TOKENS = 64 * 255

CURVES = {
    "stage": str,
    "seed": int,
    "step": int,
    "tokens_seen": int,
    "val_loss_nats": float,
    "perplexity": float,
}
ARTICLE_CURVES = {
    "stage": str,
    "step": int,
    "tokens_seen": int,
    "perplexity": float,
    "our_tokens_seen": int,
    "our_perplexity": float,
}


def curves(checkpoints: Sequence[Checkpoint]) -> pd.DataFrame:
    """Every validation of every run, on the split it was validated on while it was trained."""
    return make_table(
        CURVES, [row for checkpoint in checkpoints for row in _validations(checkpoint)]
    )


def article_curves(checkpoints: Sequence[Checkpoint]) -> pd.DataFrame:
    """The published curves, and beside each point where our run stood by then.

    Nothing is interpolated: `our_perplexity` is that of our last validation, at `our_tokens_seen`
    tokens, no more than the article's point had seen. It is missing where our run ended earlier or
    had not been validated yet.
    """
    ours = one_a_stage(checkpoints)
    rows = []
    for stage, points in article()["curves"].items():
        if stage == "what":  # says where the points are from
            continue
        run = _validations(ours[stage]) if stage in ours else []
        for step, perplexity in points.items():
            tokens = int(step) * ARTICLE_STEP_TOKENS
            point = {"stage": stage, "step": int(step), "tokens_seen": tokens}
            rows.append({**point, "perplexity": perplexity, **_reached(run, tokens)})
    return make_table(ARTICLE_CURVES, rows)


def _validations(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """What a run logged; nothing for a model in memory."""
    if checkpoint.folder is None:
        return []
    return [
        {
            "stage": checkpoint.stage,
            "seed": checkpoint.seed,
            "step": line["step"],
            "tokens_seen": line["tokens_seen"],
            "val_loss_nats": line["val_loss_nats"],
            "perplexity": math.exp(line["val_loss_nats"]),
        }
        for line in read_metrics(checkpoint.folder)
        if "val_loss_nats" in line
    ]


def _reached(run: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
    """Our last validation at no more tokens, if the run went that far."""
    before = [line for line in run if line["tokens_seen"] <= tokens]
    if not before or run[-1]["tokens_seen"] < tokens:
        return {}
    return {
        "our_tokens_seen": before[-1]["tokens_seen"],
        "our_perplexity": before[-1]["perplexity"],
    }
