"""What a mixture's router and experts carry: its choice alone, and each expert's own output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.metrics import recovery
from lt_interp.methods.activation_patching.patching import needed_hooks, patch
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.activation_patching.run import Activations, Run
from lt_interp.methods.activation_patching.summary import means, named, p_values
from lt_interp.methods.activation_patching.sweep import (
    Baselines,
    donor_recoveries,
    run_baselines,
)
from lt_interp.methods.study import Row
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

CHOICE, OTHER, OUTPUT = "the clean choice", "the other expert", "the expert's output"
KEY = ("direction", "patched", "layer", "expert", "position_role")
Key = tuple[str, str, int, int | None, str]
"""Direction, what is patched, layer, expert, role of the positions."""
Values = dict[str, np.ndarray]


def expert_sweep(model: StageModel, group: PairGroup, *, seed: int) -> dict[Key, Values]:
    """Patch router and experts on the pairs of one template.

    Three patches, each in every layer and at the positions of every role:

    - the corrupt run's tokens go to the experts that the clean run chose (and the reverse);
    - the clean run's tokens go to the expert that the router ranks second;
    - an expert's neurons in the corrupt run are those of the clean run, which reaches the stream
      only where the corrupt run chose that expert (and the reverse).

    The first and the third are also asked of wrong donors, from the corrupt run on.

    Args:
        model: A stage with experts.
        group: Pairs that passed `kept`.
        seed: Of the choice of donors.

    Returns:
        By key, `recovery`, `kl_nats`, `donor_recovery` (nan where there is none) and
        `share_changed` of each pair: the share of the positions at which the patch has something
        to change, a different choice or a token of that expert.
    """
    asked = list(_cells(model.config, group))
    hooks = needed_hooks(model, [cell for _, _, cell in asked])
    hooks |= {cell.hook.replace("indices", "weights") for _, kind, cell in asked if kind != OUTPUT}
    base = run_baselines(model, group, hooks)
    found: dict[Key, Values] = {}
    for direction in ("denoising", "noising"):
        for kind in (CHOICE, OTHER, OUTPUT):
            if kind == OTHER and direction == "denoising":
                continue  # the question is what the clean run loses
            cells = [(role, cell) for role, what, cell in asked if what == kind]
            values = _values(model, group, base, direction, kind, [cell for _, cell in cells], seed)
            for (role, cell), value in zip(cells, values, strict=True):
                found[direction, kind, int(cell.layer or 0), cell.expert, role] = value
    return found


def expert_rows(found: dict[Key, list[Values]], *, seed: int) -> list[Row]:
    """The patches of one model as rows.

    p tests that the patch recovers more than a wrong donor, and where none was asked that it moves
    the recovery at all.
    """

    def joined(name: str) -> list[np.ndarray]:
        return [np.concatenate([part[name] for part in parts]) for parts in found.values()]

    own, donor, changed = joined("recovery"), joined("donor_recovery"), joined("share_changed")
    asked = [~np.isnan(values) for values in donor]
    unpatched = [0.0 if key[0] == "denoising" else 1.0 for key in found]
    moved = [
        (values - other)[known] if known.any() else values - start
        for values, other, known, start in zip(own, donor, asked, unpatched, strict=True)
    ]
    tested = [
        values if np.any(share) else values[:0]
        for values, share in zip(moved, changed, strict=True)
    ]
    recoveries, divergences = means(own, seed=seed), means(joined("kl_nats"), seed=seed)
    donors = means([values[known] for values, known in zip(donor, asked, strict=True)], seed=seed)
    p = p_values(tested, seed=seed)
    return [
        {
            **dict(zip(KEY, key, strict=True)),
            **named(recoveries[place], "recovery", "low", "high"),
            **named(donors[place], "donor_recovery", "donor_low", "donor_high"),
            **named(divergences[place], "kl_nats", "kl_low", "kl_high"),
            "share_changed": float(changed[place].mean()),
            "p": p[place],
            "n_pairs": len(own[place]),
        }
        for place, key in enumerate(found)
    ]


def _cells(config: ModelConfig, group: PairGroup) -> Iterator[tuple[str, str, Cell]]:
    """Role, what is patched and the cell, for every layer; nothing that cannot reach the answer."""
    assert config.experts is not None
    for layer in range(config.depth):
        for role, positions in group.roles.items():
            router = Cell(component="router", layer=layer, positions=positions)
            if not router.reaches(config, group.last):
                continue
            yield role, CHOICE, router
            yield role, OTHER, router
            for expert in range(config.experts.count):
                cell = Cell(component="expert", layer=layer, expert=expert, positions=positions)
                yield role, OUTPUT, cell


def _values(
    model: StageModel,
    group: PairGroup,
    base: Baselines,
    direction: str,
    kind: str,
    cells: list[Cell],
    seed: int,
) -> list[Values]:
    """What one kind of patch does in one direction, for every cell."""
    forth = direction == "denoising"
    target, other = (base.corrupt, base.clean) if forth else (base.clean, base.corrupt)
    source = _second_choice(base.clean) if kind == OTHER else other.activations
    scores = patch(
        model, target, source, cells, answers=group.answers, clean_logits=base.clean.logits
    )
    recovered = recovery(scores.logit_difference, base.clean_nats, base.corrupt_nats)
    if forth:
        donors = donor_recoveries(model, group, base, cells, seed=seed)
    else:
        donors = {cell: np.full(len(group), np.nan) for cell in cells}
    return [
        {
            "recovery": recovered[row].double().numpy(),
            "kl_nats": scores.kl_nats[row].double().numpy(),
            "donor_recovery": donors[cell],
            "share_changed": _changed(cell, target, source).double().cpu().numpy(),
        }
        for row, cell in enumerate(cells)
    ]


def _changed(cell: Cell, target: Run, source: Activations) -> Tensor:
    """Share of the patched positions of each pair where the patch has something to change."""
    places = list(cell.positions)
    choice = Cell(component="router", layer=cell.layer, positions=cell.positions).hook
    chosen = target.activations[choice][:, places, 0]
    if cell.expert is not None:
        return chosen.eq(cell.expert).float().mean(dim=1)
    return chosen.ne(source[choice][:, places, 0]).float().mean(dim=1)


def _second_choice(run: Run) -> dict[str, Tensor]:
    """For every router, the expert of second highest probability in place of the chosen one."""
    return {
        name.replace("weights", "indices"): torch.topk(weights, 2, dim=-1).indices[..., 1:]
        for name, weights in run.activations.items()
        if name.endswith("hook_expert_weights")
    }
