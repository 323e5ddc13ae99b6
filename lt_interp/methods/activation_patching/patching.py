"""Patched runs, many at a time: every row of a batch is patched at a place of its own.

TransformerLens runs the whole model once for each place. Here all places of one start share a
forward pass, a run begins at the block that is patched, from the activations that the unpatched run
has there, and from the last attention on only the last position is computed. The numbers are the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.metrics import kl_nats, logit_difference
from lt_interp.model.parts.block import Block
from lt_interp.model.stage_model import StageModel

TOKENS = 4096  # of a batch: the activations of a block then fit into a processor's cache

Activations = Mapping[str, Tensor]
"""Activations by hook name, `[pair ...]`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """An unpatched run over the prompts of some pairs.

    Attributes:
        tokens: The prompts.
        activations: What was recorded.
        logits: The prediction after the last token.
    """

    tokens: Int[Tensor, "pair pos"]
    activations: Activations
    logits: Float[Tensor, "pair d_vocab"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What the patched runs predict.

    Attributes:
        logit_difference: Clean answer's logit minus corrupt answer's.
        kl_nats: From the clean prediction.
    """

    logit_difference: Float[Tensor, "cell pair"]
    kl_nats: Float[Tensor, "cell pair"]


@torch.no_grad()
def record(model: StageModel, tokens: Int[Tensor, "pair pos"], hooks: Iterable[str]) -> Run:
    """Run prompts as they are and keep the activations of some hooks."""
    kept: dict[str, Tensor] = {}

    def keep(activation: Tensor, hook: object, *, name: str) -> None:
        kept[name] = activation.clone()  # a later hook, or the model, may write into it

    with model.hooks(fwd_hooks=[(name, partial(keep, name=name)) for name in set(hooks)]):
        hidden = model.hidden(tokens)
    return Run(tokens=tokens, activations=kept, logits=model.unembed(hidden[:, -1:])[:, 0])


def needed_hooks(model: StageModel, cells: Iterable[Cell]) -> set[str]:
    """What has to be recorded so that `patch` can run these cells."""
    starts = {_start_hook(model, cell) for cell in cells}
    return {cell.hook for cell in cells} | {hook for hook in starts if hook}


@torch.no_grad()
def patch(
    model: StageModel,
    target: Run,
    source: Activations,
    cells: Sequence[Cell],
    *,
    answers: Int[Tensor, "pair 2"],
    clean_logits: Float[Tensor, "pair d_vocab"],
    spare_inert: bool = True,
) -> Scores:
    """Run the target's prompts once for every cell, with the cell taken from the source.

    Args:
        model: Any stage.
        target: The run that is patched, with the hooks of `needed_hooks` recorded.
        source: Where the patch is taken from: activations of the same shape for each cell's hook.
        cells: What to patch, each in a run of its own.
        answers: Ids of the clean and the corrupt answer.
        clean_logits: The prediction that `kl_nats` is measured from.
        spare_inert: Take the target's own prediction where a patch would write what is there
            already; otherwise that is run too.
    """
    unpatched = logit_difference(target.logits, answers)
    differences = repeat(unpatched, "pair -> cell pair", cell=len(cells)).clone()
    divergence = repeat(kl_nats(clean_logits, target.logits), "pair -> cell pair", cell=len(cells))
    divergence = divergence.clone()
    last = target.tokens.shape[1] - 1
    live = [
        place
        for place, cell in enumerate(cells)
        if cell.reaches(model.config, last) and not (spare_inert and _inert(cell, target, source))
    ]
    for places in _batches(model, live, cells, target.tokens.numel()):
        logits = _patched_logits(model, target, source, [cells[place] for place in places])
        rows = repeat(answers, "pair two -> (cell pair) two", cell=len(places))
        difference = logit_difference(logits.flatten(0, 1), rows)
        differences[places] = difference.unflatten(0, (len(places), -1))
        divergence[places] = kl_nats(clean_logits, logits)
    return Scores(logit_difference=differences, kl_nats=divergence)


def _inert(cell: Cell, target: Run, source: Activations) -> bool:
    """Whether a patch would write what is there: both prompts have the same tokens up to it."""
    mask = _mask([cell], source[cell.hook])[0]
    own = target.activations[cell.hook]
    return torch.equal(own.masked_fill(~mask, 0), source[cell.hook].masked_fill(~mask, 0))


def _batches(
    model: StageModel, places: list[int], cells: Sequence[Cell], tokens: int
) -> Iterator[list[int]]:
    """Cells that begin at the same block, ordered by hook, as many as fit into a batch."""
    size = max(1, TOKENS // tokens)

    def begin(place: int) -> str:
        return _start_hook(model, cells[place]) or ""

    ordered = sorted(places, key=lambda place: (begin(place), cells[place].hook))
    for _, group in groupby(ordered, key=begin):
        same = list(group)
        yield from (same[first : first + size] for first in range(0, len(same), size))


def _patched_logits(
    model: StageModel, target: Run, source: Activations, cells: Sequence[Cell]
) -> Float[Tensor, "cell pair d_vocab"]:
    """The predictions of one batch: the cells of one hook lie side by side in it."""
    hooks: list[tuple[str, Callable[..., Tensor]]] = []
    n_pairs = target.tokens.shape[0]
    first = 0
    for name, group in groupby(cells, key=lambda cell: cell.hook):
        same = list(group)
        rows = slice(first * n_pairs, (first + len(same)) * n_pairs)
        mask = _mask(same, source[name])
        hooks.append((name, partial(_write, rows=rows, mask=mask, source=source[name])))
        first += len(same)
    with model.hooks(fwd_hooks=hooks):
        hidden = _continue(model, target, _start_hook(model, cells[0]), len(cells))
    logits = model.unembed(hidden)[:, 0]
    return logits.unflatten(0, (len(cells), n_pairs))


def _write(
    activation: Tensor, hook: object, *, rows: slice, mask: Tensor, source: Tensor
) -> Tensor:
    """Replace the masked part of some rows; each cell has a block of rows, one a pair."""
    own = activation[rows].unflatten(0, (len(mask), len(source)))
    n_pos = own.shape[2]  # 1 where only the last position is left, otherwise all of them
    new = torch.where(mask[:, :, -n_pos:], source[:, -n_pos:], own)
    activation[rows] = new.flatten(0, 1)
    return activation


def _mask(cells: Sequence[Cell], like: Tensor) -> Tensor:
    """True where a cell is patched: `[cell 1 ...]`, the activation's axes with 1 for the pairs."""
    axis = 2 if cells[0].component == "pattern" else 1  # a pattern is [pair head query key]
    head_axis = 1 if cells[0].component == "pattern" else 2
    mask = torch.zeros(len(cells), *like.shape, dtype=torch.bool)[:, :1]
    for row, cell in zip(mask, cells, strict=True):
        place: list[object] = [slice(None)] * like.ndim
        place[axis] = list(cell.positions)
        if cell.head is not None:
            place[head_axis] = cell.head
        row[tuple(place)] = True
    return mask


def _start_hook(model: StageModel, cell: Cell) -> str | None:
    """Where a run that is patched in this cell can begin; `None` at the tokens."""
    if cell.layer is None or not model.config.has_stream:
        return None
    return f"blocks.{cell.layer}.hook_resid_pre"


def _continue(
    model: StageModel, target: Run, start: str | None, n_cells: int
) -> Float[Tensor, "row 1 d_in"]:
    """What the unembedding reads at the last position, the hooks in place, from a start on."""
    if start is None:
        tokens = repeat(target.tokens, "pair pos -> (cell pair) pos", cell=n_cells)
        return model.hidden(tokens)[:, -1:]
    x = repeat(target.activations[start], "pair pos d -> (cell pair) pos d", cell=n_cells)
    x = x.contiguous()  # of a single pair this is one row seen many times, and hooks write into it
    *before, last = model.blocks[int(start.split(".")[1]) :]
    for block in before:
        x = block(x)
    x = _last_block(last, x)
    return model.ln_final(x) if model.config.final_norm else x


def _last_block(
    block: Block, x: Float[Tensor, "row pos d_model"]
) -> Float[Tensor, "row 1 d_model"]:
    """`block(x)[:, -1:]`, without what nothing reads: past attention, the other positions.

    It walks through the block's own parts and hooks in the order of `Block.forward`, and saves more
    than half of the block: its feed-forward layer.
    """
    x = block.hook_resid_pre(x)
    if block.attn:
        x = x + block.attend(x)
    x = x[:, -1:]
    if block.attn and block.mlp:
        x = block.hook_resid_mid(x)
    if block.mlp:
        x = x + block.think(x)
    return block.hook_resid_post(x)
