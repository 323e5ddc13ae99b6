"""What the experts do: the loss when tokens are sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.corpus.windows import Rows
from lt_interp.methods.moe_routing.decisions import BATCH_ROWS, special_ids
from lt_interp.methods.statistics import story_means
from lt_interp.methods.token_classes import CLASSES
from lt_interp.model.stage_model import StageModel
from lt_interp.training.loss import token_losses

CAUSAL_ROWS = 24
CAUSAL = {
    "layer": str, "intervention": str, "token_class": str, "loss_change_nats": float,
    "low": float, "high": float, "loss_nats": float, "n_tokens": int, "n_stories": int,
}  # fmt: skip
BOTH, ALL = "all", "all"
OTHER = "sent to the other expert"

Hook = tuple[str, Callable[..., Tensor]]


def interventions(n_layers: int, n_experts: int) -> dict[tuple[str, str], list[Hook]]:
    """The hooks of every intervention, by layer and name.

    `sent to the other expert` adds 1 to the number of every token's expert, and begins again at 0
    after the last; `all to expert e` makes one expert serve every token.

    Args:
        n_layers: Layers with experts.
        n_experts: In each.
    """
    changes: dict[str, Callable[..., Tensor]] = {
        OTHER: lambda act, hook: (act + 1) % n_experts,
        **{f"all to expert {e}": _constant(e) for e in range(n_experts)},
    }
    where = {str(layer): [layer] for layer in range(n_layers)}
    if n_layers > 1:
        where[BOTH] = list(range(n_layers))
    return {
        (name, change): [(f"blocks.{layer}.mlp.hook_expert_indices", act) for layer in layers]
        for name, layers in where.items()
        for change, act in changes.items()
    }


def causal_rows(
    model: StageModel,
    rows: Rows,
    n_rows: int,
    classes: Sequence[str],
    *,
    seed: int,
    limit: int = CAUSAL_ROWS,
    share: Callable[[int, int], None] = lambda done, n: None,
) -> list[dict[str, Any]]:
    """The change of the loss under every intervention, by the class of the token that is sent.

    All tokens are sent at once; the loss is that of the token that follows. What is changed in the
    last layer concerns a token's own prediction only, what is changed below it also what later
    tokens read.

    Args:
        model: A stage with experts.
        rows: Token rows.
        n_rows: How many of them, from the first, the analysis reads.
        classes: The class of every token id, one of `token_classes.CLASSES`.
        seed: Of the resampling of stories.
        limit: How many of these rows, spread evenly, are run.
        share: Called with interventions done and in all.
    """
    assert model.config.experts is not None
    chosen = np.unique(np.linspace(0, n_rows - 1, min(limit, n_rows)).astype(np.int64))
    tokens = np.asarray(rows.tokens[chosen]).astype(np.int64)
    kept = np.isin(tokens[:, :-1], special_ids(model), invert=True)
    story = rows.story_ids(chosen)[:, :-1][kept].astype(np.int64)
    asked = interventions(model.config.depth, model.config.experts.count)
    before = _losses(model, tokens, [])[kept]
    changes = []
    for done, hooks in enumerate(asked.values(), 1):
        changes.append(_losses(model, tokens, hooks)[kept] - before)
        share(done, len(asked))
    of_class = np.array(classes)[tokens[:, :-1][kept]]
    found = []
    for name in (ALL, *CLASSES):
        inside = np.ones(len(story), dtype=bool) if name == ALL else of_class == name
        if inside.any():
            values = np.stack([before, *changes], axis=1)[inside]
            found += _class_rows(name, list(asked), values, story[inside], seed)
    return found


@torch.no_grad()
def _losses(
    model: StageModel, tokens: Int[np.ndarray, "row width"], hooks: list[Hook]
) -> Float[np.ndarray, "row pos"]:
    """Loss in nats of the token after every position, in double precision for sums."""
    losses = []
    for start in range(0, len(tokens), BATCH_ROWS):
        batch = torch.from_numpy(tokens[start : start + BATCH_ROWS])
        with model.hooks(hooks):
            hidden = model.hidden(batch[:, :-1])
        found = token_losses(hidden.flatten(0, 1), model.W_U, model.b_U, batch[:, 1:].flatten())
        losses.append(found.reshape(hidden.shape[:2]).numpy())
    return np.concatenate(losses).astype(np.float64)


def _constant(expert: int) -> Callable[..., Tensor]:
    return lambda act, hook: torch.full_like(act, expert)


def _class_rows(
    token_class: str,
    asked: list[tuple[str, str]],
    values: Float[np.ndarray, "n k"],
    story: Int[np.ndarray, " n"],
    seed: int,
) -> list[dict[str, Any]]:
    """A row for every intervention; the first column of the values is the loss without any."""
    found = story_means(values, story, seed=seed)
    return [
        {
            "layer": layer, "intervention": name, "token_class": token_class,
            "loss_change_nats": float(found.estimate[place]),
            "low": float(found.low[place]), "high": float(found.high[place]),
            "loss_nats": float(found.estimate[0]), "n_tokens": len(values),
            "n_stories": found.n_stories,
        }
        for place, (layer, name) in enumerate(asked, 1)
    ]  # fmt: skip
