"""What the routers decided: the expert of every token in every layer, and what the router read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel

BATCH_ROWS = 16
NONE = -1  # no token or no decision stands there


class _DecidedError(Exception):
    """The last router has decided, and what follows in the model is not needed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """Every position that is counted, in the order of the corpus, and its expert in every layer.

    Attributes:
        token: Token id at each position.
        previous: Token id before it in the row; -1 at the first position of a row.
        position: Of the token in its row, from 0.
        row: Of the corpus.
        story: That the token stands in.
        before: Where in these arrays the position before it stands; -1 if that is not counted.
        expert: Chosen by each layer's router.
        margin_logits: Logit of the chosen expert less the best other one.
        entropy_nats: Of the router's probabilities.
        inputs: What each layer's router read; empty where it is not kept.
        n_experts: In a layer.
        n_stories: In the corpus.
        d_vocab: Number of token ids.
    """

    token: Int[np.ndarray, " n"]
    previous: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    story: Int[np.ndarray, " n"]
    before: Int[np.ndarray, " n"]
    expert: Int[np.ndarray, "layer n"]
    margin_logits: Float[np.ndarray, "layer n"]
    entropy_nats: Float[np.ndarray, "layer n"]
    inputs: Float[np.ndarray, "layer n_kept d_model"]
    n_experts: int
    n_stories: int
    d_vocab: int

    @property
    def n_layers(self) -> int:
        """Layers with a router."""
        return len(self.expert)


def special_ids(model: StageModel) -> list[int]:
    """The ids that are no text: of padding, the unknown and the end of a story."""
    if model.tokenizer is None:
        return [model.config.eos_id]
    ids = (model.tokenizer.pad_id, model.tokenizer.unk_id, model.tokenizer.eos_id)
    return sorted({one for one in ids if one is not None})


def rows_needed(rows: Rows, special: Iterable[int], *, n_layers: int, decisions: int) -> int:
    """How many rows, from the first, hold that many token-and-layer decisions.

    Args:
        rows: All rows; where they hold too few, all are needed.
        special: Ids that are not counted.
        n_layers: Decisions a token.
        decisions: How many are wanted.

    Raises:
        InputError: None is wanted.
    """
    if decisions < 1:
        raise InputError(f"tokens={decisions} asks for no decision; take 1 or more")
    found = 0
    for row in range(rows.n_rows):
        found += n_layers * int(np.isin(rows.tokens[row, :-1], list(special), invert=True).sum())
        if found >= decisions:
            return row + 1
    return rows.n_rows


def collect(
    model: StageModel,
    rows: Rows,
    n_rows: int,
    *,
    share: Callable[[int, int], None] = lambda done, n: None,
) -> Decisions:
    """Run a stage with experts and keep what its routers read and decided.

    Args:
        model: A stage with experts.
        rows: Token rows of its tokenizer.
        n_rows: How many of them, from the first.
        share: Called with rows done and rows in all.
    """
    found = list(decision_parts(model, rows, n_rows, share=share))
    place = np.cumsum([0, *(len(part.token) for part in found)])
    before = [np.where(part.before == NONE, NONE, part.before + at)
              for part, at in zip(found, place)]  # fmt: skip
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in found], axis=-1)
        for name in ("token", "previous", "position", "row", "story",
                     "expert", "margin_logits", "entropy_nats")
    }  # fmt: skip
    joined["inputs"] = np.concatenate([part.inputs for part in found], axis=1)
    return dataclasses.replace(found[0], before=np.concatenate(before), **joined)


def decision_parts(
    model: StageModel,
    rows: Rows,
    n_rows: int,
    *,
    inputs: bool = True,
    share: Callable[[int, int], None] = lambda done, n: None,
) -> Iterator[Decisions]:
    """The decisions of a few rows at a time, which is all that is held of a corpus.

    All positions but the last of each row are read, as in the article, which is what the model
    predicts from; positions with a special token are left out.

    Args:
        model: A stage with experts.
        rows: Token rows of its tokenizer.
        n_rows: How many of them, from the first.
        inputs: Whether to keep what the routers read; `Decisions.inputs` is empty otherwise.
        share: Called with rows done and rows in all.
    """
    assert model.config.experts is not None
    special = special_ids(model)
    for start in range(0, n_rows, BATCH_ROWS):
        stop = min(start + BATCH_ROWS, n_rows)
        tokens = np.asarray(rows.tokens[start:stop, :-1]).astype(np.int64)
        kept = np.isin(tokens, special, invert=True)
        expert, margin, entropy, read = _route(model, torch.from_numpy(tokens), kept, inputs)
        row, position = np.nonzero(kept)
        yield Decisions(
            token=tokens[kept],
            previous=np.where(position > 0, tokens[row, position - 1], NONE),
            position=position,
            row=start + row,
            story=rows.story_ids(slice(start, stop))[:, :-1][kept].astype(np.int64),
            before=_before(row, position),
            expert=expert,
            margin_logits=margin,
            entropy_nats=entropy,
            inputs=read,
            n_experts=model.config.experts.count,
            n_stories=rows.n_stories,
            d_vocab=model.config.d_vocab,
        )
        share(stop, n_rows)


def _before(row: Int[np.ndarray, " n"], position: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The place of the position before, where that stands among them."""
    place = np.arange(len(row))
    follows = np.zeros(len(row), dtype=bool)
    follows[1:] = (row[1:] == row[:-1]) & (position[1:] == position[:-1] + 1)
    return np.where(follows, place - 1, NONE)


@torch.no_grad()
def _route(
    model: StageModel,
    tokens: Int[Tensor, "row pos"],
    kept: Bool[np.ndarray, "row pos"],
    keep_inputs: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Expert, margin, entropy and, if asked for, input of the kept positions, a layer first."""
    mask = torch.from_numpy(kept).to(model.W_E.device)
    read: list[Tensor] = []
    logits: list[Tensor] = []
    chosen: list[Tensor] = []

    def listen(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        read.append(inputs[0][mask] if keep_inputs else inputs[0][:0, 0])
        logits.append(output[mask])

    def note(act: Tensor, hook: HookPoint) -> None:
        chosen.append(act[mask][:, 0])
        if len(chosen) == len(model.blocks):
            raise _DecidedError

    handles = [block.mlp.router.register_forward_hook(listen) for block in model.blocks]
    hooks = [(lambda name: name.endswith("hook_expert_indices"), note)]
    try:
        with suppress(_DecidedError), model.hooks(hooks):
            model.hidden(tokens)
    finally:
        for handle in handles:
            handle.remove()
    scores = torch.stack(logits)
    log_p = scores.log_softmax(dim=-1)
    best = scores.topk(2, dim=-1).values
    return (
        torch.stack(chosen).cpu().numpy(),
        (best[..., 0] - best[..., 1]).cpu().numpy(),
        -(log_p.exp() * log_p).sum(dim=-1).cpu().numpy(),
        torch.stack(read).cpu().numpy(),
    )
