"""The same tokens routed by what means nothing: shuffles, fresh routers, embeddings alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from lt_interp.methods.moe_routing.decisions import Decisions
from lt_interp.methods.moe_routing.embeddings import embedding_inputs
from lt_interp.methods.moe_routing.random_router import counted, decided, random_routers
from lt_interp.methods.moe_routing.routed import routed
from lt_interp.methods.moe_routing.shuffles import position_bins, shuffled_counts
from lt_interp.methods.routing_names import (
    AGREEMENT,
    KAPPA,
    RANDOM,
    SHUFFLED,
    SHUFFLED_BINS,
    TOKEN_ALONE,
    UNTRAINED,
    WITHOUT_CONTEXT,
    WITHOUT_CONTEXT_RANDOM,
)
from lt_interp.model.stage_model import StageModel

# Random routers in the trained stage for one elsewhere: their p values must stay small after the
# correction for a dozen layers and runs.
OWN_ROUTERS = 5

Counts = Int[np.ndarray, "draw d_vocab expert"]
Inputs = Float[np.ndarray, "n d_model"]
Found = dict[str, Float[np.ndarray, "_"]]


class OtherRouters:
    """What other routers make of one layer.

    Attributes:
        counts: How often each draw sends every token id to every expert, by null model.
        agreement: How far each draw's decisions are those that its router makes without context.
        without_context: The expert that the layer's own router chooses from embeddings alone.
    """

    def __init__(self, decisions: Decisions, layer: int) -> None:
        """Begin with none.

        Args:
            decisions: Of the stage.
            layer: Which layer.
        """
        self.counts: dict[str, Counts] = {}
        self.agreement: dict[str, Found] = {}
        self.without_context = decisions.expert[layer]
        self._decisions, self._layer = decisions, layer

    def shuffle(self, *, seed: int, draws: int) -> None:
        """Deal the expert ids out again."""
        one = routed(self._decisions, [self._layer])
        for null, bins in ((SHUFFLED, one.layer), (SHUFFLED_BINS, position_bins(one))):
            rng = np.random.default_rng([seed, self._layer])
            self.counts[null] = shuffled_counts(one, bins, draws=draws, rng=rng)

    def route_at_random(self, fresh: Inputs, without: Inputs, *, seed: int, draws: int) -> None:
        """Put the same fresh routers in the trained stage, the untrained one and before either.

        Args:
            fresh: What the layer's router reads in the untrained stage.
            without: What it reads of the embeddings alone.
            seed: Of the routers.
            draws: How many of them; in the trained stage `OWN_ROUTERS` times as many.
        """
        real = self._decisions.inputs[self._layer]
        n_experts = self._decisions.n_experts
        routers = random_routers(
            real.shape[1], n_experts, OWN_ROUTERS * draws, seed=seed + self._layer
        )
        shared = routers[:draws]
        parts: dict[str, list[Counts]] = {RANDOM: [], WITHOUT_CONTEXT_RANDOM: [], UNTRAINED: []}
        agree: list[Found] = []
        for here, alone, before in zip(
            decided(real, shared), decided(without, shared), decided(fresh, shared)
        ):
            for null, chosen in zip(parts, (here, alone, before)):
                parts[null].append(self._count(chosen))
            agree.append(_agreement(here, alone, n_experts))
        parts[RANDOM] += [self._count(here) for here in decided(real, routers[draws:])]
        self.counts |= {null: np.concatenate(found) for null, found in parts.items()}
        self.agreement[RANDOM] = {
            key: np.concatenate([one[key] for one in agree]) for key in agree[0]
        }

    def route_without_context(
        self, router: Float[np.ndarray, "expert d_model"], without: Inputs, token: Inputs
    ) -> None:
        """Let the layer's own router read embeddings alone.

        Args:
            router: Its weights.
            without: The embeddings of token and position.
            token: That of the token, with the mean position's.
        """
        actual = self._decisions.expert[self._layer][:, None]
        for null, inputs in ((WITHOUT_CONTEXT, without), (TOKEN_ALONE, token)):
            (chosen,) = decided(inputs, router[None])
            if null == WITHOUT_CONTEXT:
                self.without_context = chosen[:, 0].astype(np.int64)
            self.counts[null] = self._count(chosen)
            self.agreement[null] = _agreement(actual, chosen, self._decisions.n_experts)

    def _count(self, experts: Int[np.ndarray, "n draw"]) -> Counts:
        found = self._decisions
        return counted(found.token, experts, d_vocab=found.d_vocab, n_experts=found.n_experts)


def other_routers(
    model: StageModel, decisions: Decisions, fresh: Decisions, *, seed: int, draws: int
) -> list[OtherRouters]:
    """Every other routing of every layer.

    Args:
        model: The stage.
        decisions: Its decisions.
        fresh: Those of the untrained stage on the same rows.
        seed: Of shuffles and random routers.
        draws: How many shuffles, and how many random routers.
    """
    without = embedding_inputs(model, decisions, own_position=True)
    token = embedding_inputs(model, decisions, own_position=False)
    found = []
    for layer, block in enumerate(model.blocks):
        one = OtherRouters(decisions, layer)
        one.shuffle(seed=seed, draws=draws)
        one.route_at_random(fresh.inputs[layer], without[layer], seed=seed, draws=draws)
        router = block.mlp.router.weight.detach().cpu().numpy()
        one.route_without_context(router, without[layer], token[layer])
        found.append(one)
    return found


def _agreement(
    first: Int[np.ndarray, "n draw"], second: Int[np.ndarray, "n draw"], n_experts: int
) -> Found:
    """How often two routings agree, and that beyond what their loads give by chance.

    Cohen, Educ. Psychol. Meas. 20 (1960), 37. Where both send everything to one expert, nothing is
    beyond chance: 0.
    """
    agree = (first == second).mean(axis=0)
    chance = sum(
        (first == expert).mean(axis=0) * (second == expert).mean(axis=0)
        for expert in range(n_experts)
    )
    room = 1 - chance
    kappa = np.divide(agree - chance, room, out=np.zeros_like(agree), where=room > 1e-12)
    return {AGREEMENT: agree, KAPPA: kappa}
