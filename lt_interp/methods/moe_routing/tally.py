"""Everything that is counted of decisions, added a part at a time, so that none has to be kept.

A corpus of any length leaves sums by story, by token id and by pair of neighbouring tokens. The
experts of all layers stand side by side as columns; a layer is some of them, layers pooled are the
sums of theirs, and other numbers of the experts are other orders of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.contingency import Contingency, summed
from lt_interp.methods.moe_routing.decisions import NONE, Decisions
from lt_interp.methods.moe_routing.margins import MARGINS, margins
from lt_interp.methods.moe_routing.routed import Labels, Routed
from lt_interp.methods.moe_routing.story_tokens import StoryTokens
from lt_interp.methods.routing_names import POOLED

TOKEN = "token"
PREVIOUS = "previous token"
POSITION = "position"
PAIR = "token and previous token"
TOKEN_OF_PAIR = "token that has one before it"


class Tally:
    """Sums over decisions.

    Attributes:
        n_layers: Layers with a router.
        n_experts: In a layer.
        d_vocab: Number of token ids.
        n: Positions counted; each is a decision in every layer.
        by_story: Decisions of each story by column.
        by_token: Decisions of each token id by column.
        repeated: Of each story and layer, how often a token goes where the one before it went.
        pairs: Of each story, how many tokens have one before them that is counted.
        margins: Of each story, the sums of `MARGINS` in every layer.
        labels: Sparse counts of each kind of label by group of stories.
        story_tokens: Counts of each story and token.
    """

    def __init__(self, *, n_layers: int, n_experts: int, n_stories: int, d_vocab: int) -> None:
        """Begin with nothing."""
        self.n_layers, self.n_experts, self.d_vocab = n_layers, n_experts, d_vocab
        self.n = 0
        columns = n_layers * n_experts
        self.by_story = np.zeros((n_stories, columns), np.int64)
        self.by_token = np.zeros((d_vocab, columns), np.int64)
        self.repeated = np.zeros((n_stories, n_layers), np.int64)
        self.pairs = np.zeros(n_stories, np.int64)
        self.margins = np.zeros((n_stories, n_layers, len(MARGINS)))
        self.labels = {
            name: Contingency(n_columns=columns, n_stories=n_stories)
            for name in (TOKEN, PREVIOUS, POSITION, PAIR, TOKEN_OF_PAIR)
        }
        self.story_tokens = StoryTokens(d_vocab=d_vocab, n_columns=columns)

    @classmethod
    def of(cls, decisions: Decisions) -> Tally:
        """Of decisions that are all at hand."""
        tally = cls.like(decisions)
        tally.add(decisions)
        return tally

    @classmethod
    def like(cls, decisions: Decisions) -> Tally:
        """An empty one for such decisions."""
        return cls(n_layers=decisions.n_layers, n_experts=decisions.n_experts,
                   n_stories=decisions.n_stories, d_vocab=decisions.d_vocab)  # fmt: skip

    def add(self, part: Decisions) -> None:
        """Count the next decisions of the corpus."""
        self.count(part.token, part.previous, part.position, part.story, part.expert)
        has = np.flatnonzero(part.before != NONE)
        story = part.story[has]
        np.add.at(self.pairs, story, 1)
        np.add.at(self.repeated, story, (part.expert[:, has]
                                         == part.expert[:, part.before[has]]).T)  # fmt: skip
        for layer in range(self.n_layers):
            values = margins(part.margin_logits[layer], part.entropy_nats[layer], self.n_experts)
            np.add.at(self.margins[:, layer], part.story, values)

    def count(
        self,
        token: Int[np.ndarray, " n"],
        previous: Int[np.ndarray, " n"],
        position: Int[np.ndarray, " n"],
        story: Int[np.ndarray, " n"],
        expert: Int[np.ndarray, "layer n"],
    ) -> None:
        """Count where tokens went, their stories in ascending order."""
        hit = (expert[:, None] == np.arange(self.n_experts)[:, None]).reshape(-1, len(token)).T
        self.n += len(token)
        for kind, counts in ((story, self.by_story), (token, self.by_token)):
            present, sums = summed(kind, hit)
            counts[present] += sums
        self.story_tokens.add(story, token, hit)
        self.labels[TOKEN].add(token, story, hit)
        self.labels[POSITION].add(position, story, hit)
        inside = previous != NONE
        token, previous, story, hit = token[inside], previous[inside], story[inside], hit[inside]
        self.labels[PREVIOUS].add(previous, story, hit)
        self.labels[TOKEN_OF_PAIR].add(token, story, hit)
        self.labels[PAIR].add(token * self.d_vocab + previous, story, hit)

    def set(self, layers: Sequence[int], *, labels: Labels | None = None) -> Tallied:
        """Some layers as one set, as `routed` makes it.

        Args:
            layers: Which; one, or several to be pooled.
            labels: New numbers of the experts of every layer; as stored without.
        """
        order = [np.arange(self.n_experts) if labels is None else np.argsort(labels[layer])
                 for layer in layers]  # fmt: skip
        return Tallied(
            name=str(layers[0]) if len(layers) == 1 else POOLED, tally=self,
            columns=tuple(layer * self.n_experts + one for layer, one in zip(layers, order)),
        )  # fmt: skip

    def sets(self) -> list[Tallied]:
        """Every layer by itself, and, of several, all pooled."""
        apart = [self.set([layer]) for layer in range(self.n_layers)]
        return [*apart, self.set(range(self.n_layers))] if self.n_layers > 1 else apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Tallied:
    """What is counted of a layer's decisions, or of all layers' pooled.

    Attributes:
        name: `"0"`, `"1"`, ... for a layer, `"pooled"` for all.
        tally: Of the whole model.
        columns: Where the experts' counts stand, of each layer of the set.
    """

    name: str
    tally: Tally
    columns: tuple[Int[np.ndarray, " expert"], ...]

    @property
    def layers(self) -> list[int]:
        """Of the set."""
        return [int(one[0]) // self.n_experts for one in self.columns]

    @property
    def n_experts(self) -> int:
        """In a layer."""
        return self.tally.n_experts

    @property
    def n(self) -> int:
        """Number of decisions."""
        return self.tally.n * len(self.columns)

    def pool(self, counts: Int[np.ndarray, "*any column"]) -> Int[np.ndarray, "*any expert"]:
        """The set's counts by expert, of those of all columns."""
        return np.stack([counts[..., one] for one in self.columns]).sum(axis=0, dtype=np.int64)

    def token_counts(self) -> Int[np.ndarray, "d_vocab expert"]:
        """How often every token id went to every expert."""
        return self.pool(self.tally.by_token)

    def story_counts(self) -> Int[np.ndarray, "story expert"]:
        """How often every story went to every expert."""
        return self.pool(self.tally.by_story)

    def loads(self) -> Float[np.ndarray, " expert"]:
        """Share of all decisions that each expert got."""
        return self.story_counts().sum(axis=0) / self.n


def tallied(routed: Routed) -> Tallied:
    """What is counted of a set of decisions that is at hand."""
    tally = Tally(n_layers=1, n_experts=routed.n_experts, n_stories=routed.n_stories,
                  d_vocab=routed.d_vocab)  # fmt: skip
    order = np.argsort(routed.story, kind="stable")
    tally.count(routed.token[order], routed.previous[order], routed.position[order],
                routed.story[order], routed.expert[None, order])  # fmt: skip
    return Tallied(name=routed.name, tally=tally, columns=(np.arange(routed.n_experts),))
