"""Used again and again, in any order, through errors: a model stays what it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.methods.analyze import analyze
from lt_interp.methods.registry import ANALYSES
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.training.checkpoint import load

from .inputs import small_data

TOKENS = torch.arange(12).reshape(2, 6)
# all but those that read saved results or prompts of whole words
ON_MODELS = [name for name in ANALYSES if name not in ("article", "activation_patching")]
OPTIONS: dict[str, dict[str, Any]] = {
    "evolution": {"prompts": ["the dog"]},
    "attention": {"prompts": ["the dog"]},
    "logit_lens": {"prompts": ["the dog"]},
}


class PlantedError(Exception):
    """Raised inside a hook or an analysis."""


@pytest.fixture
def model(good: Path) -> StageModel:
    return load(good / "checkpoint" / "run")


@pytest.fixture
def run(good: Path) -> Callable[[str, StageModel], Result]:
    rows = small_data(good).validation
    return lambda name, model: analyze(name, model, corpus=rows, **OPTIONS.get(name, {}))


def state(model: StageModel) -> dict[str, Any]:
    """Everything of a model that use could change."""
    return {
        "logits": model(TOKENS),
        "weights": {name: weight.clone() for name, weight in model.state_dict().items()},
        "training": [module.training for module in model.modules()],
        "devices": {str(weight.device) for weight in model.parameters()},
        "gradients": [weight.grad for weight in model.parameters()],
        "requires": [weight.requires_grad for weight in model.parameters()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in model.modules()
        ],
        "flags": (model.cfg.use_attn_result, model.cfg.use_split_qkv_input),
        "random": torch.random.get_rng_state(),
    }


def same(ours: Any, theirs: Any) -> bool:
    """Bit by bit."""
    if isinstance(ours, torch.Tensor):
        return torch.equal(ours, theirs)
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    return ours == theirs


def changed(before: dict[str, Any], model: StageModel) -> list[str]:
    after = state(model)
    return [name for name in before if not same(before[name], after[name])]


def _breaks(act: torch.Tensor, hook: object) -> None:
    raise PlantedError


@pytest.mark.parametrize("name", ON_MODELS)
def test_an_analysis_leaves_the_model_as_it_was(
    name: str, model: StageModel, run: Callable[[str, StageModel], Result]
) -> None:
    before = state(model)
    run(name, model)
    assert changed(before, model) == []


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize(
    "name", [name for name in ON_MODELS if name not in ("components", "two_sentences")]
)
def test_an_error_within_an_analysis_leaves_the_model_as_it_was(
    name: str,
    where: str,
    model: StageModel,
    run: Callable[[str, StageModel], Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted in the first call of the model's parts, in one half way, and in the last."""
    before, calls = state(model), 0
    whole = type(model.blocks[1]).forward

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == limit:
            raise PlantedError
        return whole(*args, **options)

    limit = 0
    monkeypatch.setattr(type(model.blocks[1]), "forward", counted)
    run(name, model)
    limit, calls = {"first": 1, "middle": max(1, calls // 2), "last": calls}[where], 0
    with pytest.raises(PlantedError):
        run(name, model)
    monkeypatch.undo()
    assert changed(before, model) == []


def test_an_error_within_a_hook_leaves_no_hook(model: StageModel) -> None:
    before = state(model)
    hook = "blocks.1.hook_resid_pre"
    with pytest.raises(PlantedError):
        model.run_with_hooks(TOKENS, fwd_hooks=[(hook, _breaks)])
    assert changed(before, model) == []
    with pytest.raises(PlantedError), model.hooks([(hook, _breaks)]):
        model(TOKENS)
    assert changed(before, model) == []
    with pytest.raises(PlantedError), model.hooks([("blocks.0.hook_resid_pre", _breaks)]):
        model.run_with_cache(TOKENS)
    assert changed(before, model) == []
    with pytest.raises(InputError), model.hooks([(hook, _breaks), ("blocks.9.hook_out", _breaks)]):
        pass
    assert changed(before, model) == []


def test_the_check_sees_what_is_left(model: StageModel) -> None:
    before = state(model)
    model.add_hook("blocks.1.hook_resid_pre", lambda act, hook: act * 2)
    model.blocks[0].train()
    assert {"logits", "training", "hooks"} <= set(changed(before, model))


def test_any_order_and_any_number_of_times_gives_the_same_results(
    model: StageModel, run: Callable[[str, StageModel], Result], good: Path
) -> None:
    names = [name for name in ON_MODELS if name != "two_sentences"]
    rng = random.Random(0)
    orders = [names, rng.sample(names, len(names)), rng.sample(names, len(names))]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for order in orders:
        for name in order:
            result = run(name, model)
            found[name].append({table: result.rows(table) for table in result.tables})
    for name, results in found.items():
        assert results[0] == results[1] == results[2], name
    fresh = run("evolution", load(good / "checkpoint" / "run"))
    assert found["evolution"][0] == {table: fresh.rows(table) for table in fresh.tables}
