"""The shipped pairs of prompts: one sentence twice, with as few tokens swapped as possible."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError
from lt_interp.files import write_text

PAIRS = "prompt_pairs.json"
FORMAT_VERSION = 1


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
    """The pairs of one template as tokens: equally long, and different at the same positions.

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
        """The positions at which clean and corrupt prompts differ."""
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
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format_version"] != FORMAT_VERSION:
            raise InputError(f"{path} has not format version {FORMAT_VERSION}; write it again")
        return [PromptPair(**pair) for pair in stored["pairs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a file of prompt pairs ({error!r}); restore it") from None


def write_pairs(path: Path, pairs: Iterable[PromptPair], *, chosen: dict[str, Any]) -> None:
    """Write pairs as JSON, one a line, with how they were chosen."""
    lines = ",\n".join("    " + json.dumps(asdict(pair), ensure_ascii=False) for pair in pairs)
    head = json.dumps(chosen, ensure_ascii=False)
    text = f'{{\n  "format_version": {FORMAT_VERSION},\n  "chosen": {head},\n  "pairs": [\n'
    write_text(path, f"{text}{lines}\n  ]\n}}\n")


def usable(pair: PromptPair, tokenizer: Tokenizer, *, n_ctx: int) -> str | None:
    """Why a pair cannot be asked with a tokenizer; `None` if it can."""
    clean, corrupt = tokenizer.encode(pair.clean), tokenizer.encode(pair.corrupt)
    answers = tokenizer.encode_batch([pair.clean_answer, pair.corrupt_answer])
    if not all(len(answer) == 1 for answer in answers):
        return "an answer is more than one token"
    if tokenizer.unk_id is not None and tokenizer.unk_id in [
        *clean,
        *corrupt,
        *map(int, [a[0] for a in answers]),
    ]:
        return "a word has no token"
    if len(clean) != len(corrupt):
        return "the prompts differ in length"
    if len(clean) > n_ctx:
        return "the prompts are longer than the context"
    if clean == corrupt or answers[0][0] == answers[1][0]:
        return "clean and corrupt do not differ"
    return None


def group_pairs(
    pairs: Sequence[PromptPair], tokenizer: Tokenizer, *, n_ctx: int
) -> tuple[list[PairGroup], dict[int, str]]:
    """Tokenize pairs and put together what has one template, length and place of the swap.

    Args:
        pairs: Pairs as text.
        tokenizer: Of the model that will be asked.
        n_ctx: The longest prompt in tokens.

    Returns:
        The groups, and for every pair that cannot be asked, by its place in the list, why.
    """
    found: dict[tuple, list[int]] = {}
    refused: dict[int, str] = {}
    for place, pair in enumerate(pairs):
        reason = usable(pair, tokenizer, n_ctx=n_ctx)
        if reason is not None:
            refused[place] = reason
            continue
        clean, corrupt = tokenizer.encode(pair.clean), tokenizer.encode(pair.corrupt)
        shape = tuple(a != b for a, b in zip(clean, corrupt, strict=True))
        found.setdefault((pair.template, shape), []).append(place)
    return [
        _group([pairs[i] for i in places], places, tokenizer) for places in found.values()
    ], refused


def _group(pairs: Sequence[PromptPair], places: list[int], tokenizer: Tokenizer) -> PairGroup:
    def ids(texts: list[str]) -> Tensor:
        return torch.tensor([tokenizer.encode(text) for text in texts])

    return PairGroup(
        template=pairs[0].template,
        kind=pairs[0].kind,
        place=tuple(places),
        clean=ids([pair.clean for pair in pairs]),
        corrupt=ids([pair.corrupt for pair in pairs]),
        answers=torch.cat(
            [
                ids([pair.clean_answer for pair in pairs]),
                ids([pair.corrupt_answer for pair in pairs]),
            ],
            dim=1,
        ),
    )
