"""How the shipped pairs are chosen: every fill of the templates, scored by a trained stage."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lt_interp.errors import InputError
from lt_interp.methods.activation_patching.metrics import last_logits, logit_difference
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup, PromptPair, group_pairs
from lt_interp.model.stage_model import StageModel

TEMPLATES = "prompt_templates.json"
CANDIDATES = 240  # drawn of a template; a few have tens of thousands of fills

Fill = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A sentence with slots.

    Attributes:
        id: Its name.
        kind: What is swapped.
        text: The sentence, slots in braces.
        answer: The next token, slots in braces.
        swapped: The fills of which a pair takes two.
        shared: The fills of which a pair takes one for both sides.
    """

    id: str
    kind: str
    text: str
    answer: str
    swapped: tuple[tuple[tuple[str, str], ...], ...]
    shared: tuple[tuple[tuple[str, str], ...], ...]

    def pair(self, clean: Fill, corrupt: Fill) -> PromptPair:
        """The pair of two fills."""
        return PromptPair(
            template=self.id,
            kind=self.kind,
            clean=self.text.format(**clean),
            corrupt=self.text.format(**corrupt),
            clean_answer=self.answer.format(**clean),
            corrupt_answer=self.answer.format(**corrupt),
        )

    def candidates(self) -> Iterator[PromptPair]:
        """Every pair, in one fixed order: swapped slots with different answers, shared ones alike.

        A word of a shared slot that is also swapped in is left out, or the prompt would say it
        twice.
        """
        for first, second in itertools.permutations(self.swapped, 2):
            for shared in self.shared:
                clean, corrupt = dict(first + shared), dict(second + shared)
                if self.answer.format(**clean) != self.answer.format(**corrupt):
                    yield self.pair(clean, corrupt)


def templates() -> list[Template]:
    """The shipped templates, their word lists filled in."""
    stored = json.loads(files(__package__).joinpath(TEMPLATES).read_text(encoding="utf-8"))
    lists = stored["lists"]
    return [
        Template(
            id=entry["id"],
            kind=entry["kind"],
            text=entry["text"],
            answer=entry["answer"],
            swapped=tuple(fill for slots in entry["swapped"] for fill in _fills(slots, lists)),
            shared=tuple(_fills(entry["shared"], lists)),
        )
        for entry in stored["templates"]
    ]


def choose_pairs(
    model: StageModel,
    *,
    per_template: int = 14,
    margin_nats: float = 1.5,
    seed: int = 0,
    sentences: Sequence[Template] | None = None,
) -> list[PromptPair]:
    """Draw fills of every template and keep those that a model is sure of.

    A pair's margin is the smaller of how far the clean answer's logit lies above the other's after
    the clean prompt, and the corrupt answer's after the corrupt one. Among the fills with enough
    margin it is chance that picks, not the margin, or a few favourite words would fill a template.

    Args:
        model: With its tokenizer; the shipped pairs were chosen with 09_multi_head.
        per_template: Pairs of each template, at most.
        margin_nats: The smallest margin that is taken: the reserve against other weights.
        seed: Of the draw.
        sentences: Other templates than the shipped ones.

    Raises:
        InputError: The model has no tokenizer, or no candidate has the margin.
    """
    if model.tokenizer is None:
        raise InputError("the model has no tokenizer; open a checkpoint")
    rng = np.random.default_rng(seed)
    chosen: list[PromptPair] = []
    for template in templates() if sentences is None else sentences:
        drawn = _draw(template, rng)
        margins = pair_margins(model, drawn)
        sure = [pair for pair, margin in zip(drawn, margins, strict=True) if margin >= margin_nats]
        chosen += _varied(sure, per_template)
    if not chosen:
        raise InputError(f"no candidate has a margin of {margin_nats} nats; take a better model")
    return chosen


@torch.no_grad()
def pair_margins(model: StageModel, pairs: list[PromptPair]) -> Float[np.ndarray, " pair"]:
    """How surely a model is right on both sides of each pair, in nats.

    Minus infinity where its tokenizer cannot express the pair.
    """
    margins = np.full(len(pairs), np.nan)
    assert model.tokenizer is not None
    groups, _ = group_pairs(pairs, model.tokenizer, n_ctx=model.config.n_ctx)
    for group in groups:
        margins[list(group.place)] = _margins(model, group)
    return np.nan_to_num(margins, nan=-np.inf)


def _margins(model: StageModel, group: PairGroup) -> Float[np.ndarray, " pair"]:
    clean = logit_difference(last_logits(model, group.clean), group.answers)
    corrupt = logit_difference(last_logits(model, group.corrupt), group.answers)
    return torch.minimum(clean, -corrupt).numpy()


def _fills(slots: dict[str, Any], lists: dict[str, list[str]]) -> list[tuple[tuple[str, str], ...]]:
    """Every combination of the words of some slots; one empty fill if there are no slots."""
    words = {
        slot: lists.get(value, [value]) if isinstance(value, str) else value
        for slot, value in slots.items()
    }
    return [tuple(zip(words, values, strict=True)) for values in itertools.product(*words.values())]


def _draw(template: Template, rng: np.random.Generator) -> list[PromptPair]:
    """Some of a template's candidates, in random order."""
    every = list(template.candidates())
    places = rng.permutation(len(every))[:CANDIDATES]
    return [every[place] for place in places]


def _varied(pairs: list[PromptPair], n: int) -> list[PromptPair]:
    """The first pairs whose swapped words are not used up, and are not swapped already.

    A word is used up when it has stood in twice its even share of the places.
    """
    swaps = [_swap(pair) for pair in pairs]
    words = {word for swap in swaps for word in swap}
    allowed = max(2, math.ceil(2 * 2 * n / max(len(words), 1)))
    used: Counter[str] = Counter()
    taken: dict[tuple[str, frozenset[str]], PromptPair] = {}
    for pair, swap in zip(pairs, swaps, strict=True):
        prompts = frozenset((pair.clean, pair.corrupt))
        key = (pair.template, prompts)
        if len(taken) < n and key not in taken and all(used[word] < allowed for word in swap):
            taken[key] = pair
            used.update(swap)
    return list(taken.values())


def _swap(pair: PromptPair) -> frozenset[str]:
    """The words that stand in one of the two prompts only."""
    clean, corrupt = set(pair.clean.split()), set(pair.corrupt.split())
    return frozenset(clean ^ corrupt)
