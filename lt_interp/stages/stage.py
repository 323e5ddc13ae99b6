"""A row of the registry: one model, what it adds to another, and what text it reads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lt_interp.model.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A model before it is trained.

    Attributes:
        id: Its name; a rung of the ladder has that of the article's notebook.
        adds: What it adds to the stage it grows from.
        config: The model.
        family: Whose article it is from: `"ladder"`, or a further one.
        tokenizer: What it reads: a shipped tokenizer by name, `"byte"`, or `"character"` for the
            characters of whatever it is trained on, which then decide `config.d_vocab`.
        grows_from: The id of the stage, of the same family, that it differs from by a few fields;
            `None` for the first of its kind.
    """

    id: str
    adds: str
    config: ModelConfig
    family: str = "ladder"
    tokenizer: str = "tinystories-4096"
    grows_from: str | None = None

    def fitted(self, *, d_vocab: int, eos_id: int, n_ctx: int | None = None) -> Stage:
        """The same stage for a tokenizer's ids, and for another context if one is given."""
        config = dataclasses.replace(
            self.config, d_vocab=d_vocab, eos_id=eos_id, n_ctx=n_ctx or self.config.n_ctx
        )
        return dataclasses.replace(self, config=config)


def evolve(previous: Stage, id: str, adds: str, **change: Any) -> Stage:
    """The next row: the previous one with a few fields of its model changed."""
    config = dataclasses.replace(previous.config, **change)
    return dataclasses.replace(previous, id=id, adds=adds, config=config, grows_from=previous.id)


def by_id(*stages: Stage) -> dict[str, Stage]:
    """The rows of a family in order, by their names."""
    return {stage.id: stage for stage in stages}
