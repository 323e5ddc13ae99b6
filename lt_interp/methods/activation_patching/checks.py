"""What must hold for any patch, verified on every model before its numbers are believed."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell, components, heads
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.methods.activation_patching.patching import needed_hooks, patch
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup
from lt_interp.methods.activation_patching.run import Run, record
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

TOLERANCE = 1e-4
"""Share of the largest logit that rounding may move a logit difference by."""


def check_group(model: StageModel, group: PairGroup) -> None:
    """Verify two identities on the pairs of one template.

    Clean activations patched into the clean run change nothing, in every component. Everything
    that the prediction can depend on, patched at every position, makes the corrupt run the clean
    one: recovery 1.

    Raises:
        RuntimeError: An identity is violated: a hook of the model does not do what it should.
    """
    parts, whole = _every_cell(model.config, group.last), whole_cells(model.config, group.last)
    hooks = needed_hooks(model, [*parts, *whole])
    clean, corrupt = record(model, group.clean, hooks), record(model, group.corrupt, hooks)
    wanted = logit_difference(clean.logits, group.answers).cpu()
    bound = TOLERANCE * float(clean.logits.abs().max())
    same = _differences(model, group, clean, clean, parts)
    _refuse(parts, same, wanted, bound, "clean patched into clean changed the prediction")
    restored = _differences(model, group, corrupt, clean, whole)
    _refuse(whole, restored, wanted, bound, "patching every position did not recover 1")


def _every_cell(config: ModelConfig, last: int) -> list[Cell]:
    """Every component and head at every position."""
    everywhere = tuple(range(last + 1))
    return [
        *(Cell(component=c, layer=i, positions=everywhere) for c, i in components(config)),
        *(Cell(component=c, layer=i, head=h, positions=everywhere) for c, i, h in heads(config)),
    ]


def whole_cells(config: ModelConfig, last: int) -> list[Cell]:
    """Patches that carry everything: the embedding, and the stream at every one of its hooks."""
    everywhere = tuple(range(last + 1))
    cells = [Cell(component="embed", positions=everywhere)]
    if config.has_residual:
        for layer in range(config.depth):
            names = ["resid_pre", "resid_post"]
            names += ["resid_mid"] if config.n_heads and config.d_mlp else []
            cells += [Cell(component=n, layer=layer, positions=everywhere) for n in names]
    elif config.has_blocks:
        part = "mlp_out" if config.d_mlp else "attn_out"
        cells += [
            Cell(component=part, layer=layer, positions=everywhere) for layer in range(config.depth)
        ]
    return cells


def _differences(
    model: StageModel, group: PairGroup, target: Run, clean: Run, cells: list[Cell]
) -> Float[Tensor, "cell pair"]:
    """Logit differences of the target with each cell taken from the clean run."""
    scores = patch(
        model,
        target,
        clean.activations,
        cells,
        answers=group.answers,
        clean_logits=clean.logits,
        spare_inert=False,  # clean into clean is inert by definition, and must be run
    )
    return scores.logit_difference


def _refuse(
    cells: list[Cell],
    found: Float[Tensor, "cell pair"],
    wanted: Float[Tensor, " pair"],
    bound: float,
    what: str,
) -> None:
    """Stop at the first cell that is off by more than the bound."""
    off = (found - wanted).abs().amax(dim=1)
    for cell, distance in zip(cells, off.tolist(), strict=True):
        if not distance <= bound:
            raise RuntimeError(
                f"{what}: {cell.hook}{'' if cell.head is None else f' head {cell.head}'} moves the "
                f"logit difference by {distance:.3g}, rounding allows {bound:.3g}; the model's "
                "hooks do not carry what they should"
            )
