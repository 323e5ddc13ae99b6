"""All patches of one model over all pairs: what each cell's patch does to each pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell, components, heads
from lt_interp.methods.activation_patching.checks import check_group
from lt_interp.methods.activation_patching.donors import donor_activations, donor_rows
from lt_interp.methods.activation_patching.metrics import (
    SMALLEST_NATS,
    last_logits,
    logit_difference,
    recovery,
)
from lt_interp.methods.activation_patching.patching import Scores, needed_hooks, patch
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.activation_patching.run import Activations, Run, record
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

EVERYWHERE = "all"  # the role of a head's patch at every position
Key = tuple[str, str, int | None, int | None, str]
"""Direction, component, layer, head, role of the positions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baselines:
    """The unpatched runs of a template's pairs.

    Attributes:
        clean: The clean run.
        corrupt: The corrupt run.
        clean_nats: Logit difference of the clean run.
        corrupt_nats: Of the corrupt run.
    """

    clean: Run
    corrupt: Run
    clean_nats: Float[Tensor, " pair"]
    corrupt_nats: Float[Tensor, " pair"]


@dataclass(frozen=True, eq=False)
class Patched:
    """One cell on the pairs of one template.

    Attributes:
        place: Which pairs of the list they are.
        recovery: Of each pair.
        kl_nats: Of each pair.
        donor_recovery: The same patch from a wrong donor; nan where there is none.
    """

    place: tuple[int, ...]
    recovery: Float[np.ndarray, " pair"]
    kl_nats: Float[np.ndarray, " pair"]
    donor_recovery: Float[np.ndarray, " pair"]


def differences(
    model: StageModel, group: PairGroup
) -> tuple[Float[Tensor, " pair"], Float[Tensor, " pair"]]:
    """Logit differences of the clean and of the corrupt prompts."""
    prompts = group.clean, group.corrupt
    clean, corrupt = (logit_difference(last_logits(model, one), group.answers) for one in prompts)
    return clean.cpu(), corrupt.cpu()


def kept(
    clean: Float[Tensor, " pair"], corrupt: Float[Tensor, " pair"]
) -> Bool[np.ndarray, " pair"]:
    """The pairs whose recovery is defined.

    The logit difference must fall by `SMALLEST_NATS` or more from the clean run to the corrupt one:
    a smaller or a reversed denominator means that the stage does not tell the prompts apart in the
    sense of their answers, and dividing by it would let a few such pairs decide the mean.
    """
    return (clean - corrupt >= SMALLEST_NATS).numpy()


def role_cells(config: ModelConfig, group: PairGroup) -> dict[tuple, Cell]:
    """The pooled cells: components by role of the positions, heads at all positions and by role.

    A head's output is also patched by role; its queries, keys, values and pattern only everywhere.
    """
    found: dict[tuple, Cell] = {}
    for component, layer in components(config):
        for role, positions in group.roles.items():
            found[component, layer, None, role] = _cell(config, component, layer, positions)
    everywhere = {EVERYWHERE: tuple(range(group.last + 1))}
    for component, layer, head in heads(config):
        roles = {**everywhere, **group.roles} if component == "z" else everywhere
        for role, positions in roles.items():
            cell = Cell(component=component, layer=layer, head=head, positions=positions)
            found[component, layer, head, role] = cell
    return {key: cell for key, cell in found.items() if cell.reaches(config, group.last)}


def position_cells(config: ModelConfig, group: PairGroup) -> list[Cell]:
    """Every component at each position by itself, from the first swapped token on.

    What stands before it is equal in both runs, and a patch there changes nothing.
    """
    return [
        Cell(component=component, layer=layer, positions=(position,))
        for component, layer in components(config)
        for position in range(min(group.differing), group.last + 1)
        if not (component == "embed" and config.has_residual)  # it is resid_pre of layer 0
        and Cell(component=component, layer=layer, positions=(position,)).reaches(
            config, group.last
        )
    ]


def _cell(
    config: ModelConfig, component: str, layer: int | None, positions: tuple[int, ...]
) -> Cell:
    """A patch of a component; where a stream begins with the embedding, the two are one patch."""
    if component == "embed" and config.has_residual:
        component, layer = "resid_pre", 0
    return Cell(component=component, layer=layer, positions=positions)


def run_baselines(model: StageModel, group: PairGroup, hooks: Iterable[str]) -> Baselines:
    """The unpatched runs with these hooks recorded."""
    clean, corrupt = record(model, group.clean, hooks), record(model, group.corrupt, hooks)
    return Baselines(
        clean=clean,
        corrupt=corrupt,
        clean_nats=logit_difference(clean.logits, group.answers).cpu(),
        corrupt_nats=logit_difference(corrupt.logits, group.answers).cpu(),
    )


def sweep_group(
    model: StageModel, group: PairGroup, *, seed: int, check: bool
) -> tuple[dict[Key, Patched], dict[tuple[str, Cell], Float[np.ndarray, " pair"]]]:
    """Patch every cell of a template's pairs, in both directions and from wrong donors.

    By symmetric token replacement the two directions are one question: destroying the clean answer
    is restoring the corrupt one. So the wrong donors are asked in the first direction alone.

    Args:
        model: Any stage.
        group: Pairs that passed `kept`.
        seed: Of the choice of donors.
        check: Whether to verify the identities of `checks` on these pairs first.

    Returns:
        The pooled cells, and the recovery of single positions by direction and cell.
    """
    pooled = role_cells(model.config, group)
    single = position_cells(model.config, group)
    base = run_baselines(model, group, needed_hooks(model, [*pooled.values(), *single]))
    if check:
        check_group(model, group)
    cells = list(dict.fromkeys(pooled.values()))
    denoised = _recoveries(model, group, base, [*cells, *single], direction="denoising")
    noised = _recoveries(model, group, base, [*cells, *single], direction="noising")
    donor = donor_recoveries(model, group, base, cells, seed=seed)
    found: dict[Key, Patched] = {}
    for key, cell in pooled.items():
        found["denoising", *key] = Patched(group.place, *denoised[cell], donor[cell])
        found["noising", *key] = Patched(group.place, *noised[cell], np.full(len(group), np.nan))
    directions = {"denoising": denoised, "noising": noised}
    return found, {(name, cell): of[cell][0] for name, of in directions.items() for cell in single}


def _recoveries(
    model: StageModel, group: PairGroup, base: Baselines, cells: list[Cell], *, direction: str
) -> dict[Cell, tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " pair"]]]:
    """Recovery and divergence of every cell, patched from the other run of the pair."""
    source = base.clean if direction == "denoising" else base.corrupt
    scores = _patch(model, group, base, source.activations, cells, direction=direction)
    values = recovery(scores.logit_difference, base.clean_nats, base.corrupt_nats).double().numpy()
    divergences = scores.kl_nats.double().numpy()
    return {cell: (values[row], divergences[row]) for row, cell in enumerate(cells)}


def donor_recoveries(
    model: StageModel, group: PairGroup, base: Baselines, cells: list[Cell], *, seed: int
) -> dict[Cell, Float[np.ndarray, " pair"]]:
    """Recovery of every cell when the corrupt run is patched from a wrong donor."""
    rng = np.random.default_rng([seed, *group.template.encode()])
    rows = donor_rows(group, of_clean=True, rng=rng)
    if rows is None:
        return {cell: np.full(len(group), np.nan) for cell in cells}
    source = donor_activations(base.clean, base.corrupt, rows)
    scores = _patch(model, group, base, source, cells, direction="denoising")
    values = recovery(scores.logit_difference, base.clean_nats, base.corrupt_nats).double().numpy()
    return {cell: values[row] for row, cell in enumerate(cells)}


def _patch(
    model: StageModel,
    group: PairGroup,
    base: Baselines,
    source: Activations,
    cells: list[Cell],
    *,
    direction: str,
) -> Scores:
    target = base.corrupt if direction == "denoising" else base.clean
    return patch(
        model, target, source, cells, answers=group.answers, clean_logits=base.clean.logits
    )
