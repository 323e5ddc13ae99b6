"""Patched runs, many at a time: every row of a batch is patched at a place of its own.

TransformerLens runs the whole model once for each place. Here places share a forward pass, which
begins at the block and position that are patched first and ends at the last position (`resume`).
The numbers are the same. While other functions are on the model's hooks, runs are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.metrics import kl_nats, logit_difference
from lt_interp.methods.activation_patching.resume import (
    BATCH_TOKENS,
    WHOLE,
    Start,
    resume,
    start_hooks,
    start_of,
)
from lt_interp.methods.activation_patching.run import Activations, Run
from lt_interp.model.stage_model import StageModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What the patched runs predict.

    Attributes:
        logit_difference: Clean answer's logit minus corrupt answer's.
        kl_nats: From the clean prediction.
    """

    logit_difference: Float[Tensor, "cell pair"]
    kl_nats: Float[Tensor, "cell pair"]


def needed_hooks(model: StageModel, cells: Iterable[Cell]) -> set[str]:
    """What has to be recorded so that `patch` can run these cells."""
    cells = list(cells)
    return {cell.hook for cell in cells} | start_hooks(model.config, cells)


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
    starts = _starts(model, target, source, cells, spare_inert=spare_inert)
    for start, places in _batches(starts, cells, target.tokens.shape):
        logits = _patched_logits(model, target, source, [cells[place] for place in places], start)
        rows = repeat(answers, "pair two -> (cell pair) two", cell=len(places))
        difference = logit_difference(logits.flatten(0, 1), rows)
        differences[places] = difference.unflatten(0, (len(places), -1))
        divergence[places] = kl_nats(clean_logits, logits)
    return Scores(logit_difference=differences.cpu(), kl_nats=divergence.cpu())


def _starts(
    model: StageModel,
    target: Run,
    source: Activations,
    cells: Sequence[Cell],
    *,
    spare_inert: bool,
) -> dict[int, Start]:
    """Where the run of each cell begins, by place; none for a cell that need not be run."""
    last, whole = target.tokens.shape[1] - 1, model.hooked
    changes = {
        (cell.hook, cell.head): _changes(cell, target.activations[cell.hook], source[cell.hook])
        for cell in {(cell.hook, cell.head): cell for cell in cells}.values()
    }
    starts = {}
    for place, cell in enumerate(cells):
        changed = changes[cell.hook, cell.head]
        written = [p for p in cell.positions if changed[p] or not spare_inert]
        if written and cell.reaches(model.config, last):
            starts[place] = WHOLE if whole else start_of(model.config, cell, min(written))
    return starts


def _changes(cell: Cell, own: Tensor, new: Tensor) -> list[bool]:
    """Whether a patch of this component (and head) writes anything new, at every position.

    Both prompts have the same tokens up to the first that is swapped, and the same activations.
    """
    differ = (own != new).any(dim=0).movedim(_position_axis(cell) - 1, 0)
    if cell.head is not None:
        differ = differ[:, cell.head]
    return differ.flatten(1).any(dim=1).tolist()


def _batches(
    starts: dict[int, Start], cells: Sequence[Cell], shape: Sequence[int]
) -> Iterator[tuple[Start, list[int]]]:
    """Cells that begin at the same block, at a similar position, as many as fit into a batch.

    A batch begins where its first cell does. Within it, cells of one hook lie side by side.
    """
    n_pairs, n_pos = shape
    ordered = sorted(starts, key=lambda place: starts[place])
    for _, group in groupby(ordered, key=lambda place: starts[place].layer):
        left = list(group)
        while left:
            start = starts[left[0]]
            size = max(1, BATCH_TOKENS // (n_pairs * (n_pos - start.position)))
            yield start, sorted(left[:size], key=lambda place: cells[place].hook)
            left = left[size:]


def _patched_logits(
    model: StageModel, target: Run, source: Activations, cells: Sequence[Cell], start: Start
) -> Float[Tensor, "cell pair d_vocab"]:
    """The predictions of one batch."""
    hooks: list[tuple[str, Callable[..., Tensor]]] = []
    n_pairs = target.tokens.shape[0]
    first = 0
    for name, group in groupby(cells, key=lambda cell: cell.hook):
        same = list(group)
        rows = slice(first * n_pairs, (first + len(same)) * n_pairs)
        axis, mask = _position_axis(same[0]), _mask(same, source[name])
        write = partial(_write, rows=rows, axis=axis, mask=mask, source=source[name])
        hooks.append((name, write))
        first += len(same)
    with model.hooks(fwd_hooks=hooks):
        hidden = resume(model, target, start, n_cells=len(cells))
    logits = model.unembed(hidden)[:, 0]
    return logits.unflatten(0, (len(cells), n_pairs))


def _write(
    activation: Tensor, hook: object, *, rows: slice, axis: int, mask: Tensor, source: Tensor
) -> Tensor:
    """Replace the masked part of some rows; each cell has a block of rows, one a pair."""
    own = activation[rows].unflatten(0, (len(mask), len(source)))
    # a run that begins late, or has come to what the last position reads, has the last ones only
    n_pos = own.shape[axis + 1]
    new = torch.where(_last(mask, n_pos, axis + 1), _last(source, n_pos, axis), own)
    activation[rows] = new.flatten(0, 1)
    return activation


def _last(x: Tensor, n: int, axis: int) -> Tensor:
    """The last entries along an axis."""
    return x.narrow(axis, x.shape[axis] - n, n)


def _position_axis(cell: Cell) -> int:
    """Where an activation has its positions; a pattern is `[pair head query key]`."""
    return 2 if cell.component == "pattern" else 1


def _mask(cells: Sequence[Cell], like: Tensor) -> Bool[Tensor, "cell 1 ..."]:
    """True where a cell is patched: the activation's axes, the pairs' and the last one 1."""
    mask = like.new_zeros(len(cells), *like[:1, ..., :1].shape, dtype=torch.bool)
    for row, cell in zip(mask, cells, strict=True):
        by_position = row.transpose(1, _position_axis(cell))
        head = () if cell.head is None else (cell.head,)
        by_position[(0, list(cell.positions), *head)] = True
    return mask
