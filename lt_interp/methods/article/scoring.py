"""One pass of one model over the sample: losses by story and class, and what follows "named"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from lt_interp.corpus.windows import Rows
from lt_interp.methods.article.groups import ALL, GROUPS, LAST, Sample
from lt_interp.methods.statistics import story_totals
from lt_interp.methods.study import Share
from lt_interp.model.stage_model import StageModel
from lt_interp.training.loss import token_losses

BATCH_ROWS = 16

LOSSES = {"by": str, "class": str, "story": int, "loss_nats": float, "n_tokens": int}
AFTER_NAMED = {"story": int, "probability_of_a_name": float, "n_tokens": int}


@torch.no_grad()
def score(
    model: StageModel,
    sample: Sample,
    *,
    named: int | None,
    names: Bool[np.ndarray, " d_vocab"],
    share: Share,
) -> dict[str, list[dict[str, Any]]]:
    """Losses summed by story and class, and the probability of a name after "named".

    Args:
        model: Any stage.
        sample: What it is scored on.
        named: The id of " named"; `None` if it is no token.
        names: Which ids are names.
        share: Called with rows done and rows in all.

    Returns:
        Rows of the tables `losses` and `after_named`.
    """
    is_name = torch.from_numpy(names).to(model.W_U.device)
    losses = np.zeros(sample.story.shape)
    mass: list[Float64[np.ndarray, " n"]] = []
    for start in range(0, len(losses), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        tokens = torch.from_numpy(sample.tokens[part]).to(model.W_U.device)
        hidden = model.hidden(tokens[:, :-1])
        flat = token_losses(hidden.flatten(0, 1), model.W_U, model.b_U, tokens[:, 1:].flatten())
        losses[part] = flat.reshape(hidden.shape[:2]).cpu().numpy()
        if named is not None:
            mass.append(_mass(model, hidden[tokens[:, :-1] == named], is_name))
        share(min(start + BATCH_ROWS, len(losses)), len(losses))
    after = [] if named is None else _after_rows(sample, named, np.concatenate(mass))
    return {"losses": list(_loss_rows(sample, losses)), "after_named": after}


@torch.no_grad()
def score_last(model: StageModel, rows: Rows) -> list[dict[str, Any]]:
    """Losses of the last token of every row, which has all others of the row before it.

    No other token is unembedded, which is nearly all of the work in a stage without blocks.

    Args:
        model: Any stage.
        rows: Token rows, all of which are read.

    Returns:
        Rows of the table `losses`.
    """
    story = rows.story_ids(slice(None))[:, -1].astype(np.int64)
    losses = []
    for start in range(0, rows.n_rows, BATCH_ROWS):
        part = np.asarray(rows.tokens[start : start + BATCH_ROWS]).astype(np.int64)
        tokens = torch.from_numpy(part).to(model.W_U.device)
        hidden = model.hidden(tokens[:, :-1])[:, -1]
        losses.append(token_losses(hidden, model.W_U, model.b_U, tokens[:, -1]).cpu().numpy())
    return list(_class_rows(LAST, GROUPS[ALL][0], story, np.concatenate(losses)))


def _mass(
    model: StageModel, hidden: Float[Tensor, "n d_in"], is_name: Bool[Tensor, "d_vocab"]
) -> Float64[np.ndarray, " n"]:
    """The probability that the next token is a name."""
    probabilities = model.unembed(hidden[None])[0].double().softmax(dim=-1)
    return probabilities[:, is_name].sum(dim=-1).cpu().numpy()


def _after_rows(
    sample: Sample, named: int, mass: Float64[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    story = sample.story[sample.tokens[:, :-1] == named]
    totals, counts = _by_story(story, mass)
    return [
        {"story": int(s), "probability_of_a_name": float(totals[s]), "n_tokens": int(counts[s])}
        for s in np.flatnonzero(counts)
    ]


def _loss_rows(sample: Sample, losses: Float[np.ndarray, "row pos"]) -> Iterator[dict[str, Any]]:
    """A row for every class and story with a token in it."""
    for by, names in GROUPS.items():
        codes = sample.classes[by]
        for code, name in enumerate(names):
            chosen = codes == code
            yield from _class_rows(by, name, sample.story[chosen], losses[chosen])


def _class_rows(
    by: str, name: str, story: Int[np.ndarray, " n"], losses: Float[np.ndarray, " n"]
) -> Iterator[dict[str, Any]]:
    totals, counts = _by_story(story, losses)
    for s in np.flatnonzero(counts):
        yield {
            "by": by, "class": name, "story": int(s),
            "loss_nats": float(totals[s]), "n_tokens": int(counts[s]),
        }  # fmt: skip


def _by_story(
    story: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " story"], Int[np.ndarray, " story"]]:
    """Sums and counts within each story."""
    return story_totals(values[:, None], story)[:, 0], np.bincount(story)
