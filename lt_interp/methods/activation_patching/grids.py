"""Components over whole grids of places, as TransformerLens's `get_act_patch_*` return them."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.methods.activation_patching.cells import HEADS, Cell, components
from lt_interp.methods.activation_patching.patching import needed_hooks, patch
from lt_interp.methods.activation_patching.run import record
from lt_interp.model.stage_model import StageModel

Grid = tuple[str, bool]
"""A component, and whether its heads are patched at one position at a time."""


def patch_grid(
    model: StageModel,
    clean: Int[Tensor, "pair pos"],
    corrupt: Int[Tensor, "pair pos"],
    *,
    component: str,
    answers: Int[Tensor, "pair 2"],
    by_position: bool = False,
) -> Float[Tensor, "layer *place pair"]:
    """Logit differences after patching clean into corrupt, one run a place, in few batches.

    The numbers are those of TransformerLens's `patching.get_act_patch_*` with the logit difference
    as its metric, but for every pair.

    Args:
        model: A stage with blocks.
        clean: Ids of the clean prompts.
        corrupt: Of the corrupt ones, equally long.
        component: `"resid_pre"`, `"attn_out"`, `"resid_mid"` or `"mlp_out"`, or of every head
            `"z"`, `"q"`, `"k"`, `"v"` or `"pattern"`.
        answers: Ids of the clean and the corrupt answer.
        by_position: Patch a head at one position (of a pattern: one query) at a time.

    Returns:
        `[layer pos pair]`; of a head `[layer head pair]`, and `[layer pos head pair]` by position.

    Raises:
        InputError: The stage lacks the component.

    Example:
        >>> ids = torch.tensor([model.tokenizer.encode(text) for text in prompts])  # doctest: +SKIP
        >>> patch_grid(model, ids[:1], ids[1:], component="z", answers=answers)  # doctest: +SKIP
    """
    allowed = dict.fromkeys(name for name, _ in every_grid(model))
    if component not in allowed:
        raise InputError(f"{model.cfg.model_name} has no {component!r}; it has {[*allowed]}")
    asked = (component, by_position)
    return patch_grids(model, clean, corrupt, answers=answers, grids=[asked])[asked]


def every_grid(model: StageModel) -> list[Grid]:
    """The grids that a stage has: its stream, and its heads at all positions and at each."""
    present = dict.fromkeys(name for name, layer in components(model.config) if layer is not None)
    heads = HEADS if model.config.n_heads else ()
    return [(name, False) for name in present] + [
        (h, each) for h in heads for each in (False, True)
    ]


def patch_grids(
    model: StageModel,
    clean: Int[Tensor, "pair pos"],
    corrupt: Int[Tensor, "pair pos"],
    *,
    answers: Int[Tensor, "pair 2"],
    grids: Sequence[Grid] | None = None,
) -> dict[Grid, Float[Tensor, "layer ... pair"]]:
    """`patch_grid` for several components, which then share their runs too.

    Args:
        model: A stage with blocks.
        clean: Ids of the clean prompts.
        corrupt: Of the corrupt ones, equally long.
        answers: Ids of the clean and the corrupt answer.
        grids: Component and `by_position` of each; all that the stage has if not given.
    """
    places = {
        grid: _places(model, grid[0], int(clean.shape[1]), grid[1])
        for grid in (every_grid(model) if grids is None else grids)
    }
    cells = [cell for _, some in places.values() for cell in some]
    source = record(model, clean, {cell.hook for cell in cells})
    target = record(model, corrupt, needed_hooks(model, cells))
    scores = patch(
        model, target, source.activations, cells, answers=answers, clean_logits=source.logits
    )
    parts = scores.logit_difference.split([len(some) for _, some in places.values()])
    return {
        grid: part.unflatten(0, shape)
        for (grid, (shape, _)), part in zip(places.items(), parts, strict=True)
    }


def _places(
    model: StageModel, component: str, n_pos: int, by_position: bool
) -> tuple[tuple[int, ...], list[Cell]]:
    """The cells of the grid in reading order, and its shape."""
    layers, heads = range(model.config.depth), range(model.config.n_heads)
    single = [(position,) for position in range(n_pos)]
    if component not in HEADS:
        cells = [Cell(component=component, layer=i, positions=p) for i in layers for p in single]
        return (len(layers), n_pos), cells
    where = single if by_position else [tuple(range(n_pos))]
    cells = [
        Cell(component=component, layer=layer, head=head, positions=positions)
        for layer in layers
        for positions in where
        for head in heads
    ]
    middle = (n_pos,) if by_position else ()
    return (len(layers), *middle, len(heads)), cells
