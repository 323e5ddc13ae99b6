"""A set of decisions that is described as one: a layer's, or all layers' pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lt_interp.methods.moe_routing.decisions import Decisions
from lt_interp.methods.routing_names import POOLED

Labels = tuple[tuple[int, ...], ...]
"""For each layer the new number of every expert: `((0, 1), (1, 0))` exchanges layer 1's two."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Routed:
    """Token-and-layer decisions, in the order of the corpus within each layer.

    Attributes:
        name: `"0"`, `"1"`, ... for a layer, `"pooled"` for all.
        layer: Of each decision.
        token: Token id.
        previous: Token id before it; -1 at the first position of a row.
        position: In the row.
        row: Of the corpus.
        story: That the token stands in.
        expert: It went to.
        n_experts: In a layer.
        n_stories: In the corpus.
        d_vocab: Number of token ids.
    """

    name: str
    layer: Int[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]
    previous: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    story: Int[np.ndarray, " n"]
    expert: Int[np.ndarray, " n"]
    n_experts: int
    n_stories: int
    d_vocab: int

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.token)

    def token_counts(self) -> Int[np.ndarray, "d_vocab expert"]:
        """How often every token id went to every expert."""
        code = self.token * self.n_experts + self.expert
        return np.bincount(code, minlength=self.d_vocab * self.n_experts).reshape(
            self.d_vocab, self.n_experts
        )


def routed(decisions: Decisions, layers: Sequence[int], *, labels: Labels | None = None) -> Routed:
    """The decisions of some layers as one set.

    Experts of different layers have nothing in common but their number; pooling adds up expert 0
    of one and expert 0 of the other, as the article does.

    Args:
        decisions: Of all layers.
        layers: Which; one, or several to be pooled.
        labels: New numbers of the experts of every layer of the model; as stored without.
    """
    times = len(layers)
    expert = [decisions.expert[layer] for layer in layers]
    if labels is not None:
        expert = [np.array(labels[layer])[one] for layer, one in zip(layers, expert)]
    return Routed(
        name=str(layers[0]) if times == 1 else POOLED,
        layer=np.repeat(np.array(layers), len(decisions.token)),
        token=np.tile(decisions.token, times),
        previous=np.tile(decisions.previous, times),
        position=np.tile(decisions.position, times),
        row=np.tile(decisions.row, times),
        story=np.tile(decisions.story, times),
        expert=np.concatenate(expert),
        n_experts=decisions.n_experts,
        n_stories=decisions.n_stories,
        d_vocab=decisions.d_vocab,
    )


def sets(decisions: Decisions) -> list[Routed]:
    """Every layer by itself, and, of several, all pooled."""
    layers = range(decisions.n_layers)
    apart = [routed(decisions, [layer]) for layer in layers]
    return [*apart, routed(decisions, list(layers))] if decisions.n_layers > 1 else apart


def sent_by_story(
    routed: Routed, ids: Int[np.ndarray, " token"]
) -> Int[np.ndarray, "story token expert"]:
    """Decisions of each story for each of some tokens and each expert.

    Args:
        routed: A set of decisions.
        ids: The tokens.
    """
    place = np.full(routed.d_vocab, -1)
    place[ids] = np.arange(len(ids))
    some = place[routed.token] >= 0
    shape = (routed.n_stories, len(ids), routed.n_experts)
    code = np.ravel_multi_index(
        (routed.story[some], place[routed.token[some]], routed.expert[some]), shape
    )
    return np.bincount(code, minlength=int(np.prod(shape))).reshape(shape)
