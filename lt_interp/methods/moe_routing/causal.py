"""What the experts do: the loss when tokens are sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint

from lt_interp.corpus.windows import Rows
from lt_interp.methods.moe_routing.decisions import special_ids
from lt_interp.methods.routing_names import OTHER_EXPERT
from lt_interp.methods.statistics import story_means
from lt_interp.methods.token_classes import CLASSES
from lt_interp.model.stage_model import StageModel
from lt_interp.training.validation import BATCH_ROWS, row_losses

CAUSAL_ROWS = 24
CAUSAL = {
    "layer": str, "intervention": str, "expert": int, "token_class": str,
    "loss_change_nats": float, "low": float, "high": float, "loss_nats": float, "n_tokens": int,
    "n_stories": int,
}  # fmt: skip
ALL = "all"  # layers, or classes of tokens


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """Tokens served by an expert that the router did not choose.

    Attributes:
        layer: `"0"`, `"1"`, ... or `"all"`.
        layers: The layers it changes.
        expert: The one that serves them all; `None` for `OTHER_EXPERT`, which adds 1 to the
            number of each token's expert and begins again at 0 after the last.
        n_experts: In a layer.
    """

    layer: str
    layers: tuple[int, ...]
    expert: int | None
    n_experts: int

    @property
    def name(self) -> str:
        """What is done to the tokens."""
        return OTHER_EXPERT if self.expert is None else f"all to expert {self.expert}"

    def hooks(self, where: Bool[Tensor, "row pos"]) -> list[tuple[str, Callable[..., Tensor]]]:
        """What makes it happen to the tokens of `where`."""
        send = partial(self._send, where=where)
        return [(f"blocks.{layer}.mlp.hook_expert_indices", send) for layer in self.layers]

    def _send(
        self, experts: Int[Tensor, "row pos 1"], hook: HookPoint, *, where: Bool[Tensor, "row pos"]
    ) -> Int[Tensor, "row pos 1"]:
        if self.expert is None:
            changed = (experts + 1) % self.n_experts
        else:
            changed = torch.full_like(experts, self.expert)
        return torch.where(where[..., None].to(experts.device), changed, experts)


def interventions(n_layers: int, n_experts: int) -> list[Intervention]:
    """Every layer by itself, and of several all together: the other expert, and each for all.

    Args:
        n_layers: Layers with experts.
        n_experts: In each.
    """
    where: dict[str, tuple[int, ...]] = {str(layer): (layer,) for layer in range(n_layers)}
    if n_layers > 1:
        where[ALL] = tuple(range(n_layers))
    return [
        Intervention(layer=name, layers=layers, expert=expert, n_experts=n_experts)
        for name, layers in where.items()
        for expert in (None, *range(n_experts))
    ]


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
    """The change of the loss under every intervention, over all tokens and by class.

    The loss is that of the token that follows the one that is sent. In the rows of a class, only
    tokens of that class are sent to the other expert; where one expert serves all, all tokens are
    sent to it. What is changed in the last layer concerns a token's own prediction only, what is
    changed below it also what later tokens read.

    Args:
        model: A stage with experts.
        rows: Token rows.
        n_rows: How many of them, from the first, the analysis reads.
        classes: The class of every token id, one of `token_classes.CLASSES`.
        seed: Of the resampling of stories.
        limit: How many of these rows, spread evenly, are run.
        share: Called with passes done and in all.
    """
    assert model.config.experts is not None
    chosen = np.unique(np.linspace(0, n_rows - 1, min(limit, n_rows)).astype(np.int64))
    tokens = np.asarray(rows.tokens[chosen]).astype(np.int64)
    kept = np.isin(tokens[:, :-1], special_ids(model), invert=True)
    story = rows.story_ids(chosen)[:, :-1].astype(np.int64)
    of_class = np.array(classes)[tokens[:, :-1]]
    present = [name for name in CLASSES if (of_class[kept] == name).any()]
    asked = interventions(model.config.depth, model.config.experts.count)
    apart = [one for one in asked if _depends_on_others(one, model)]
    n_passes = len(asked) + len(apart) * len(present)
    before = _losses(model, tokens, None, kept)
    everywhere: list[Float[np.ndarray, "row pos"]] = []
    for one in asked:
        everywhere.append(_losses(model, tokens, one, np.ones_like(kept)) - before)
        share(len(everywhere), n_passes)
    found = _class_rows(ALL, asked, before, everywhere, story, kept, seed)
    for done, name in enumerate(present, 1):
        where = of_class == name
        changes = [
            _losses(model, tokens, one, where) - before if one in apart else change
            for one, change in zip(asked, everywhere, strict=True)
        ]
        found += _class_rows(name, asked, before, changes, story, kept & where, seed)
        share(len(asked) + done * len(apart), n_passes)
    return found


def _depends_on_others(one: Intervention, model: StageModel) -> bool:
    """Whether a token's figure holds what was done to the tokens before it."""
    return one.expert is None and one.layers != (model.config.depth - 1,)


def _losses(
    model: StageModel,
    tokens: Int[np.ndarray, "row width"],
    one: Intervention | None,
    where: Bool[np.ndarray, "row pos"],
) -> Float[np.ndarray, "row pos"]:
    """Loss in nats of the token after every position, in double precision for sums."""
    losses: list[np.ndarray] = []
    for start in range(0, len(tokens), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        with model.hooks(one.hooks(torch.from_numpy(where[part])) if one else []):
            losses += row_losses(model, tokens[part])
    return np.concatenate(losses).astype(np.float64)


def _class_rows(
    token_class: str,
    asked: list[Intervention],
    before: Float[np.ndarray, "row pos"],
    changes: list[Float[np.ndarray, "row pos"]],
    story: Int[np.ndarray, "row pos"],
    scored: Bool[np.ndarray, "row pos"],
    seed: int,
) -> list[dict[str, Any]]:
    """A row for every intervention."""
    values = np.stack([before[scored], *(change[scored] for change in changes)], axis=1)
    found = story_means(values, story[scored], seed=seed)
    rows = []
    for place, one in enumerate(asked, 1):
        change, low, high = found.at(place)
        rows.append({
            "layer": one.layer, "intervention": one.name, "expert": one.expert,
            "token_class": token_class, "loss_change_nats": change, "low": low, "high": high,
            "loss_nats": found.at(0)[0], "n_tokens": len(values), "n_stories": found.n_stories,
        })  # fmt: skip
    return rows
