"""What a mixture's router and experts carry: its choice alone, and each expert's own output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.metrics import logit_difference, recovery
from lt_interp.methods.activation_patching.patching import (
    Activations,
    Run,
    needed_hooks,
    patch,
    record,
)
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.activation_patching.summary import means, named, p_values
from lt_interp.methods.study import Row
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

CHOICE, OTHER, OUTPUT = "the clean choice", "the other expert", "the expert's output"
KEY = ("direction", "patched", "layer", "expert", "position_role")
Key = tuple[str, str, int, int | None, str]
"""Direction, what is patched, layer, expert, role of the positions."""
Values = dict[str, np.ndarray]


def expert_sweep(model: StageModel, group: PairGroup) -> dict[Key, Values]:
    """Patch router and experts on the pairs of one template.

    Three patches, each in every layer and at the positions of every role:

    - the corrupt run's tokens go to the experts that the clean run chose (and the reverse);
    - the clean run's tokens go to the expert that the router ranks second;
    - an expert's neurons in the corrupt run are those of the clean run, which reaches the stream
      only where the corrupt run chose that expert (and the reverse).

    Returns:
        By key, `recovery`, `kl_nats` and `share_changed` of each pair: the share of the positions
        at which the patch has something to change, a different choice or a token of that expert.
    """
    cells = list(_cells(model.config, group))
    hooks = needed_hooks(model, [cell for _, _, cell in cells])
    hooks |= {cell.hook.replace("indices", "weights") for _, kind, cell in cells if kind != OUTPUT}
    clean, corrupt = record(model, group.clean, hooks), record(model, group.corrupt, hooks)
    found: dict[Key, Values] = {}
    for direction, target, source in (("denoising", corrupt, clean), ("noising", clean, corrupt)):
        for kind in (CHOICE, OTHER, OUTPUT):
            if kind == OTHER and direction == "denoising":
                continue  # the question is what the clean run loses
            asked = [(role, cell) for role, what, cell in cells if what == kind]
            activations = _second_choice(clean) if kind == OTHER else source.activations
            values = _values(model, group, target, activations, clean, corrupt, asked)
            for (role, cell), value in zip(asked, values, strict=True):
                found[direction, kind, int(cell.layer or 0), cell.expert, role] = value
    return found


def expert_rows(found: dict[Key, list[Values]], *, seed: int) -> list[Row]:
    """The patches of one model as rows; p tests that the patch moves the recovery at all."""

    def joined(name: str) -> list[np.ndarray]:
        return [np.concatenate([part[name] for part in parts]) for parts in found.values()]

    own, changed = joined("recovery"), joined("share_changed")
    unpatched = [0.0 if key[0] == "denoising" else 1.0 for key in found]
    moved = [
        values - start if np.any(share) else values[:0]
        for values, start, share in zip(own, unpatched, changed, strict=True)
    ]
    recoveries, divergences = means(own, seed=seed), means(joined("kl_nats"), seed=seed)
    p = p_values(moved, seed=seed)
    return [
        {
            **dict(zip(KEY, key, strict=True)),
            **named(recoveries[place], "recovery", "low", "high"),
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
    target: Run,
    source: Activations,
    clean: Run,
    corrupt: Run,
    asked: list[tuple[str, Cell]],
) -> list[Values]:
    cells = [cell for _, cell in asked]
    scores = patch(model, target, source, cells, answers=group.answers, clean_logits=clean.logits)
    ends = [logit_difference(run.logits, group.answers) for run in (clean, corrupt)]
    recovered = recovery(scores.logit_difference, *ends).double().numpy()
    divergence = scores.kl_nats.double().numpy()
    changed = [_changed(cell, target, source).double().numpy() for cell in cells]
    return [
        {"recovery": recovered[row], "kl_nats": divergence[row], "share_changed": changed[row]}
        for row in range(len(cells))
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
