"""The shipped pairs of prompts: one sentence twice, with as few tokens swapped as possible."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.files import write_text
from lt_interp.reading import format_version, read_json

PAIRS = "prompt_pairs.json"


@dataclass(frozen=True, kw_only=True)
class PromptPair:
    """A clean prompt and its corruption by symmetric token replacement (arXiv 2309.16042).

    Which of the two is called clean is a matter of the label: both are stories, and each has the
    answer that would be wrong for the other.

    Attributes:
        template: Id of the sentence that both are made from.
        kind: What is swapped: `"names"`, `"subject"`, `"object"` or `"feeling"`.
        clean: The prompt whose answer is restored or destroyed.
        corrupt: The same with other words.
        clean_answer: The next token that is right after `clean`, a leading space included.
        corrupt_answer: The one that is right after `corrupt`.
    """

    template: str
    kind: str
    clean: str
    corrupt: str
    clean_answer: str
    corrupt_answer: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PairGroup:
    """The pairs of one template as tokens: equally long, and different within the same span.

    Attributes:
        template: Id of the template.
        kind: What is swapped.
        place: Which pairs of the list they are.
        clean: Ids of the clean prompts.
        corrupt: Ids of the corrupt ones.
        answers: Ids of the clean and the corrupt answer.
    """

    template: str
    kind: str
    place: tuple[int, ...]
    clean: Int[Tensor, "pair pos"]
    corrupt: Int[Tensor, "pair pos"]
    answers: Int[Tensor, "pair 2"]

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.place)

    @cached_property
    def differing(self) -> tuple[int, ...]:
        """The positions at which any clean prompt differs from its corrupt one."""
        return tuple((self.clean != self.corrupt).any(dim=0).nonzero().flatten().tolist())

    @property
    def last(self) -> int:
        """The position that the answer is read from."""
        return int(self.clean.shape[1]) - 1

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        """Positions by what they are for, so that templates of different length can be pooled.

        `differing`: the swapped tokens. `between`: after the first of them, neither swapped nor
        last. `last`: where the answer is read. What stands before the first swapped token is the
        same in both runs, so that no patch there can change anything, and has no role.
        """
        first = min(self.differing)
        swapped = tuple(p for p in self.differing if p != self.last)
        between = tuple(p for p in range(first, self.last) if p not in self.differing)
        roles = {"differing": swapped, "between": between, "last": (self.last,)}
        return {role: positions for role, positions in roles.items() if positions}

    def take(self, which: Sequence[int]) -> PairGroup:
        """Some of the pairs."""
        rows = torch.tensor(list(which), dtype=torch.long)
        return PairGroup(
            template=self.template,
            kind=self.kind,
            place=tuple(self.place[row] for row in which),
            clean=self.clean[rows],
            corrupt=self.corrupt[rows],
            answers=self.answers[rows],
        )


def shipped_pairs() -> list[PromptPair]:
    """The pairs that come with the package."""
    return read_pairs(Path(str(files(__package__).joinpath(PAIRS))))


def read_pairs(path: Path) -> list[PromptPair]:
    """Pairs from a file that `write_pairs` wrote.

    Raises:
        InputError: It is not such a file.
    """
    stored = read_json(path, schema="prompt_pairs")
    return [PromptPair(**pair) for pair in stored["pairs"]]


def write_pairs(path: Path, pairs: Iterable[PromptPair], *, chosen: dict[str, Any]) -> None:
    """Write pairs as JSON, one a line, with how they were chosen."""
    lines = ",\n".join("    " + json.dumps(asdict(pair), ensure_ascii=False) for pair in pairs)
    head = json.dumps(chosen, ensure_ascii=False)
    version = format_version("prompt_pairs")
    text = f'{{\n  "format_version": {version},\n  "chosen": {head},\n  "pairs": [\n'
    write_text(path, f"{text}{lines}\n  ]\n}}\n")


class Asked(NamedTuple):
    """A pair as tokens.

    What both answers begin with is part of the prompts, so that the next token alone decides: of
    `" she"` and `" he"` in bytes the space is read, and `s` or `h` is asked for.

    Attributes:
        clean: Ids of the clean prompt.
        corrupt: Of the corrupt one.
        answers: The first ids at which the clean and the corrupt answer differ.
    """

    clean: list[int]
    corrupt: list[int]
    answers: tuple[int, int]


def as_tokens(pair: PromptPair, tokenizer: Tokenizer, *, n_ctx: int) -> Asked | str:
    """A pair with a tokenizer, or why it cannot be asked."""
    clean, corrupt = tokenizer.encode(pair.clean), tokenizer.encode(pair.corrupt)
    answers = [tokenizer.encode(text) for text in (pair.clean_answer, pair.corrupt_answer)]
    same = next((i for i, (a, b) in enumerate(zip(*answers, strict=False)) if a != b), None)
    if same is None:
        return "the answers do not differ in a token"
    shared = answers[0][:same]
    asked = Asked(clean + shared, corrupt + shared, (answers[0][same], answers[1][same]))
    if tokenizer.unk_id in (*asked.clean, *asked.corrupt, *asked.answers):
        return "a word has no token"
    if len(asked.clean) != len(asked.corrupt):
        return "the prompts differ in length"
    if len(asked.clean) > n_ctx:
        return "the prompts are longer than the context"
    return "the prompts do not differ" if asked.clean == asked.corrupt else asked


def group_pairs(
    pairs: Sequence[PromptPair], tokenizer: Tokenizer, *, n_ctx: int
) -> tuple[list[PairGroup], dict[int, str]]:
    """Tokenize pairs and put together what has one template, length and span of the swap.

    Args:
        pairs: Pairs as text.
        tokenizer: Of the model that will be asked.
        n_ctx: The longest prompt in tokens.

    Returns:
        The groups, and for every pair that cannot be asked, by its place in the list, why.
    """
    found: dict[tuple, list[tuple[int, Asked]]] = {}
    refused: dict[int, str] = {}
    for place, pair in enumerate(pairs):
        asked = as_tokens(pair, tokenizer, n_ctx=n_ctx)
        if isinstance(asked, str):
            refused[place] = asked
            continue
        differs = [a != b for a, b in zip(asked.clean, asked.corrupt, strict=True)]
        span = (differs.index(True), differs[::-1].index(True), len(differs))
        found.setdefault((pair.template, pair.kind, span), []).append((place, asked))
    return [
        PairGroup(
            template=template,
            kind=kind,
            place=tuple(place for place, _ in members),
            clean=torch.tensor([asked.clean for _, asked in members]),
            corrupt=torch.tensor([asked.corrupt for _, asked in members]),
            answers=torch.tensor([asked.answers for _, asked in members]),
        )
        for (template, kind, _), members in found.items()
    ], refused
