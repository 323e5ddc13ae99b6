"""Training: what a run computes, and what it writes down."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lt_interp.files import sha256_file
from lt_interp.model.initialisation import initialise_fan_in
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import Stage
from lt_interp.training import card
from lt_interp.training.balance import balance_loss, is_router
from lt_interp.training.batches import Data, batch_rows
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import _Run, train
from lt_interp.training.metrics import read_metrics
from lt_interp.training.optimizer import build_optimizers, gradient_norms
from lt_interp.training.run_folder import read_card

from .small_runs import quick, timeless

Build = Callable[[str], Stage]


def test_metrics_hold_what_was_promised(whole_run: Path) -> None:
    lines = read_metrics(whole_run)
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert [line["tokens_seen"] for line in lines] == [line["step"] * 8 * 15 for line in lines]
    assert ["val_loss_nats" in line for line in lines] == [False, True] * 3
    parts = {"embed", "pos_embed", "attn", "mlp", "router", "ln", "unembed"}
    assert all(set(line["grad_norm"]) == parts for line in lines)
    for line in lines:
        squares = {part: norm**2 for part, norm in line["grad_norm"].items()}
        blocks = sum(norm**2 for norm in line["grad_norm_by_block"].values())
        inside = squares["attn"] + squares["mlp"] + squares["router"]
        # of the norms one is outside the blocks
        assert inside < blocks < inside + squares["ln"]
    recipe = quick("10_moe_gated")
    assert [line["lr"] for line in lines] == pytest.approx(
        [4e-3 * recipe.lr_scale(line["step"] - 1, 12) for line in lines]
    )
    assert lines[-1]["val_loss_nats"] < lines[1]["val_loss_nats"]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)


def test_the_first_losses_are_those_of_the_first_batches(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    """Plain AdamW by hand, from the same initial weights, over the rows that the seed says."""
    changes = {"optimizer": "adamw", "clip_norm": 0.0, "max_steps": 2}
    changes |= {"lr": 2e-3, "lr_embed": 2e-3, "lr_unembed": 2e-3}
    recipe = quick("05_attn_position", **changes)
    stage = small_stage("05_attn_position")
    train(stage, data, recipe, seed=4, out=tmp_path)
    model = StageModel(stage.config)
    initialise_fan_in(model, torch.Generator().manual_seed(4))
    order = np.random.default_rng([4, 0]).permutation(data.train.n_rows)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=2e-3, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    losses = []
    for step in range(2):
        tokens = torch.from_numpy(data.train.tokens[order[step * 8 : step * 8 + 8]].astype(int))
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        # a run of two steps has no warm-up: linear to zero from the start
        optimizer.param_groups[0]["lr"] = 2e-3 * (1.0, 0.5)[step]
        optimizer.step()
    assert losses[0] == pytest.approx(np.log(model.cfg.d_vocab), abs=1e-5)
    # where a gradient cancels to rounding, AdamW's first step still moves its weight by lr
    assert read_metrics(tmp_path)[0]["train_loss_nats"] == pytest.approx(np.mean(losses), rel=1e-4)
    trained = load(tmp_path)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(
            trained.state_dict()[name], weight, atol=2e-3, rtol=2e-3, msg=name
        )


Step = tuple[list[float], float]
"""The rates of a step as shares of their peaks, and the norm of its gradient."""


@contextmanager
def watched(steps: list[Step], n_optimizers: int) -> Iterator[None]:
    """Notes what every step of all optimizers together is made with."""
    parts: list[tuple[list[float], float]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        groups = optimizer.param_groups
        squares = [p.grad.square().sum() for group in groups for p in group["params"]]
        parts.append(([g["lr"] / g["peak_lr"] for g in groups], float(sum(squares))))
        if len(parts) == n_optimizers:
            rates, norms = zip(*parts, strict=True)
            steps.append((list(itertools.chain(*rates)), math.sqrt(sum(norms))))
            parts.clear()

    handle = register_optimizer_step_pre_hook(note)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_step_is_made_at_its_rate_and_with_a_gradient_within_the_clip(
    optimizer: str, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    norms = {}
    for clip in (0.0, 0.05):
        recipe = quick("09_multi_head", optimizer=optimizer, clip_norm=clip)
        stage, steps = small_stage("09_multi_head"), []
        n_optimizers = len(build_optimizers(StageModel(stage.config), recipe))
        with watched(steps, n_optimizers):
            train(stage, data, recipe, seed=0, out=tmp_path / str(clip))
        assert len(steps) == 12
        for step, (rates, _) in enumerate(steps):
            assert rates == pytest.approx([recipe.lr_scale(step, 12)] * len(rates))
        norms[clip] = [norm for _, norm in steps]
    assert min(norms[0.0]) > 0.05
    assert norms[0.05] == pytest.approx([0.05] * 12, rel=1e-3)


def test_the_balancing_loss_adds_its_gradient_to_the_router(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    stage = small_stage("10_moe_gated")
    gradients = []
    for weight in (0.0, 0.7):
        model = StageModel(stage.config, seed=3)
        recipe = quick("10_moe_gated", balance_weight=weight)
        run = _Run(model, [], data, recipe, 0, 12, tmp_path, {"precision": "float32"})
        run.backward(0)
        gradients.append([block.mlp.router.weight.grad.clone() for block in model.blocks])
    model = StageModel(stage.config, seed=3)
    rows = np.sort(batch_rows(0, data.train.n_rows, recipe.batch_rows, 0))
    router: dict[str, torch.Tensor] = {}
    keep = (is_router, lambda act, hook: router.__setitem__(hook.name, act))
    tokens = torch.from_numpy(data.train.tokens[rows].astype(int))
    model.run_with_hooks(tokens[:, :-1], fwd_hooks=[keep])
    balance_loss(router).backward()
    for block, without, with_ in zip(model.blocks, *gradients, strict=True):
        own = block.mlp.router.weight.grad
        assert own.abs().max() > 1e-6
        torch.testing.assert_close(with_ - without, 0.7 * own, rtol=1e-3, atol=1e-7)


def test_where_the_processor_multiplies_bfloat16_training_does(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {}
    for fast in (False, True):
        monkeypatch.setattr(card, "multiplies_bfloat16", lambda _, fast=fast: fast)
        out = tmp_path / str(fast)
        train(small_stage("09_multi_head"), data, quick("09_multi_head", precision="auto"),
              seed=0, out=out)  # fmt: skip
        assert read_card(out)["identity"]["precision"] == ("bfloat16" if fast else "float32")
        losses[fast] = [line["train_loss_nats"] for line in read_metrics(out)]
    assert losses[True] != losses[False]
    assert losses[True] == pytest.approx(losses[False], rel=0.05)


def test_only_the_last_token_is_learnt_where_the_recipe_says_so(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    stage = small_stage("01_bag_of_words")
    recipe = quick("01_bag_of_words", max_steps=1, last_token_only=True, log_every=1)
    train(stage, data, recipe, seed=0, out=tmp_path)
    assert read_metrics(tmp_path)[0]["tokens_seen"] == 8
    model = StageModel(stage.config)
    initialise_fan_in(model, torch.Generator().manual_seed(0))
    # the unembedding starts at zero, so its bias alone sees which tokens were targets
    rows = np.random.default_rng([0, 0]).permutation(data.train.n_rows)[:8]
    seen = set(data.train.tokens[rows, -1].tolist())
    raised = load(tmp_path).b_U > 0
    assert set(raised.nonzero().flatten().tolist()) == seen


def test_a_router_without_a_gate_is_left_bit_identical_and_with_one_is_not(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    for stage_id, learns in (("10_moe", False), ("10_moe_gated", True)):
        stage = small_stage(stage_id)
        out = tmp_path / stage_id
        train(stage, data, quick(stage_id), seed=4, out=out)
        start = StageModel(stage.config)
        initialise_fan_in(start, torch.Generator().manual_seed(4))
        trained = load(out).state_dict()
        for name, weight in start.state_dict().items():
            # stored as float16, so compared as that
            same = torch.equal(trained[name], weight.half().float())
            assert same == ("router" in name and not learns), name


def test_on_step_is_told_how_far_it_is(data: Data, small_stage: Build, tmp_path: Path) -> None:
    calls: list[tuple[int, int, int | None]] = []
    train(
        small_stage("03_bigram"),
        data,
        quick("03_bigram", max_steps=4),
        seed=0,
        out=tmp_path,
        on_step=lambda done, total, line: calls.append((done, total, line.get("step"))),
    )
    assert calls == [(1, 4, None), (2, 4, 2), (3, 4, 2), (4, 4, 4)]


def test_the_seed_decides_the_weights(data: Data, small_stage: Build, tmp_path: Path) -> None:
    stage, recipe = small_stage("06_ffn"), quick("06_ffn", max_steps=4)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(stage, data, recipe, seed=seed, out=tmp_path / name)
    a, b, c = (sha256_file(tmp_path / name / "model.safetensors") for name in "abc")
    assert a == b != c
    assert json.loads((tmp_path / "a" / "run.json").read_text())["weights_sha256"] == a


def test_accumulated_gradients_are_those_of_the_large_batch(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight rows at once, in two parts and one by one: the same gradients, and the same run."""
    gradients: list[dict[str, torch.Tensor]] = []

    def record(model: StageModel, *named: Any) -> dict[str, float]:
        if not named:  # once a step, by part
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
        return gradient_norms(model, *named)

    monkeypatch.setattr("lt_interp.training.loop.gradient_norms", record)
    metrics = []
    for accumulate in (1, 2, 8):
        recipe = quick("09_multi_head", accumulate=accumulate, max_steps=4, log_every=1)
        train(small_stage("09_multi_head"), data, recipe, seed=4, out=tmp_path / str(accumulate))
        metrics.append(timeless(tmp_path / str(accumulate)))
    whole, *others = gradients[0], gradients[4], gradients[8]
    for parts in others:
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-7, msg=name)
    for lines in metrics[1:]:
        for line, wanted in zip(lines, metrics[0], strict=True):
            # AdamW makes a whole step of a gradient that is rounding alone, so later losses part
            assert line["train_loss_nats"] == pytest.approx(wanted["train_loss_nats"], rel=1e-3)
            assert line["tokens_seen"] == wanted["tokens_seen"]
