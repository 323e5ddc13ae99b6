"""A run that begins late and ends at the last position is the whole run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from lt_interp.methods.activation_patching import patching
from lt_interp.methods.activation_patching.cells import Cell, components, heads
from lt_interp.methods.activation_patching.grids import every_grid, patch_grid, patch_grids
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.methods.activation_patching.patching import needed_hooks, patch
from lt_interp.methods.activation_patching.resume import Start, resume, start_hooks
from lt_interp.methods.activation_patching.run import Run, record
from lt_interp.model.config import ModelConfig, Wiring
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

N_POS = 7
POST_NORM = Wiring(residual=True, norm="LN", norm_after=True)
VARIANTS = {
    "07_block": {},
    "09_multi_head": {"n_layers": 3},
    "alibi": {"positions": "alibi"},
    "rotary": {"positions": "rotary"},
    "post_norm": {"wiring": POST_NORM},
    "10_moe_gated": {},
    "04_attention": {},
    "06_ffn": {},
}


def config_of(name: str) -> ModelConfig:
    config = STAGES[name if name in STAGES else "09_multi_head"].config
    size = {"d_model": 16, "d_vocab": 256, "n_ctx": 16, "eos_id": 0}
    change = {**size, "d_mlp": 24 if config.d_mlp else 0, **VARIANTS[name]}
    return dataclasses.replace(config, **change)


def two_prompts() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, 256, (2, N_POS), generator=generator)
    corrupt = clean.clone()
    corrupt[:, 2] = 255 - corrupt[:, 2]
    return clean, corrupt, torch.tensor([[3, 4], [5, 6]])


def some_cells(config: ModelConfig) -> list[Cell]:
    """Every component with the last head, at single positions, at several, and at all."""
    where = [(2,), (4,), (N_POS - 1,), (1, 5), tuple(range(N_POS))]
    places = [(c, i, None) for c, i in components(config)]
    places += [(c, i, h) for c, i, h in heads(config) if h == config.n_heads - 1]
    return [
        Cell(component=component, layer=layer, head=head, positions=positions)
        for place, (component, layer, head) in enumerate(places)
        for positions in (where[place % len(where)], where[(place + 2) % len(where)])
    ]


def one_by_one(
    model: StageModel, target: Run, source: Run, cells: Sequence[Cell], answers: Tensor
) -> Tensor:
    """Every cell in a whole run of its own, through the hooks alone."""
    found = []
    for cell in cells:

        def write(x: Tensor, hook: object, cell: Cell = cell) -> Tensor:
            axis = 2 if cell.component == "pattern" else 1
            place: list[object] = [slice(None)] * x.ndim
            place[axis] = list(cell.positions)
            if cell.head is not None:
                place[3 - axis] = cell.head
            x[tuple(place)] = source.activations[cell.hook][tuple(place)]
            return x

        with torch.no_grad():
            logits = model.run_with_hooks(target.tokens, fwd_hooks=[(cell.hook, write)])[:, -1]
        found.append(logit_difference(logits, answers))
    return torch.stack(found)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_cell_is_its_whole_run_wherever_its_batch_begins(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StageModel(config_of(name), name=name, seed=2)
    clean, corrupt, answers = two_prompts()
    cells = some_cells(model.config)
    hooks = needed_hooks(model, cells)
    source, target = record(model, clean, hooks), record(model, corrupt, hooks)
    wanted = one_by_one(model, target, source, cells, answers)
    assert wanted.std(dim=0).min() > 0
    for tokens in (
        patching.BATCH_TOKENS,
        1,
    ):  # of a batch; with 1, every cell begins where it is patched
        monkeypatch.setattr(patching, "BATCH_TOKENS", tokens)
        scores = patch(
            model, target, source.activations, cells, answers=answers, clean_logits=source.logits
        )
        assert_allclose(scores.logit_difference, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["09_multi_head", "rotary", "alibi", "10_moe_gated"])
def test_a_run_resumes_at_any_block_and_position(name: str) -> None:
    model = StageModel(config_of(name), name=name, seed=3)
    tokens = two_prompts()[0]
    cells = [Cell(component="z", layer=i, positions=(0,)) for i in range(model.config.depth)]
    target = record(model, tokens, start_hooks(model.config, cells))
    with torch.no_grad():
        wanted = model.hidden(tokens)[:, -1:]
        for layer in range(-1, model.config.depth):
            for position in (0, 3, N_POS - 1):
                found = resume(model, target, Start(layer, position), n_cells=2)
                assert_allclose(found, wanted.repeat(2, 1, 1), atol=1e-5)


def test_a_function_on_a_hook_sees_whole_runs_and_is_obeyed() -> None:
    model = StageModel(config_of("09_multi_head"), name="nine", seed=4)
    clean, corrupt, answers = two_prompts()
    seen: list[int] = []

    def double(x: Tensor, hook: object) -> Tensor:
        seen.append(x.shape[1])
        return 2 * x

    free = patch_grid(model, clean, corrupt, component="v", answers=answers)
    model.blocks[0].hook_mlp_out.add_hook(double)
    held = patch_grid(model, clean, corrupt, component="v", answers=answers)
    assert set(seen) == {N_POS}
    model.reset_hooks()
    with torch.no_grad():  # the same model with the doubling built in
        model.blocks[0].mlp.W_out *= 2
        model.blocks[0].mlp.b_out *= 2
    assert_allclose(
        held, patch_grid(model, clean, corrupt, component="v", answers=answers), atol=1e-5
    )
    assert (held - free).abs().max() > 1e-3


def test_grids_together_are_each_grid_alone() -> None:
    model = StageModel(config_of("09_multi_head"), name="nine", seed=5)
    clean, corrupt, answers = two_prompts()
    together = patch_grids(model, clean, corrupt, answers=answers)
    assert list(together) == every_grid(model)
    assert len(together) == 14
    for component, by_position in [("resid_pre", False), ("k", False), ("pattern", True)]:
        alone = patch_grid(
            model, clean, corrupt, component=component, answers=answers, by_position=by_position
        )
        assert_allclose(together[component, by_position], alone, atol=1e-5)
