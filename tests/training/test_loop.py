"""Training: interrupted anywhere, it ends with the bits of an uninterrupted run."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.model.initialisation import initialise_fan_in
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import read_json
from lt_interp.stages import Stage
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import Data, _Run, train
from lt_interp.training.metrics import read_metrics
from lt_interp.training.optimizer import gradient_norms
from lt_interp.training.recipe import Recipe, recipe_for

Build = Callable[[str], Stage]


class InterruptedTrainingError(Exception):
    """Stands for Ctrl-C."""


def quick(stage_id: str, **changes: Any) -> Recipe:
    """Twelve steps, metrics every second one, validation every fourth; nothing left to tuning."""
    small = {"batch_rows": 8, "max_steps": 12, "epochs": 9, "log_every": 2, "validate_every": 4}
    small |= {"optimizer": "muon", "schedule": "linear", "initialisation": "fan_in"}
    small |= {"lr": 4e-3, "lr_embed": 3e-2, "lr_unembed": 8e-3, "warmup_steps": 2}
    small |= {"weight_decay": 0.1, "clip_norm": 1.0, "precision": "float32"}
    return recipe_for("ladder", stage_id, **small | changes)


def stop_at(*steps: int) -> Callable[[int, int, dict], None]:
    def on_step(done: int, total: int, line: dict) -> None:
        if done in steps:
            raise InterruptedTrainingError

    return on_step


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The metrics but for the seconds."""
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in read_metrics(folder)
    ]


@pytest.fixture(scope="module")
def whole_run(data: Data, small_stage: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of the gated mixture, which has every kind of part."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(small_stage("10_moe_gated"), data, quick("10_moe_gated"), seed=4, out=out)
    return out


@pytest.mark.parametrize("stops", [(1,), (4,), (5, 9), (12,)], ids=str)
def test_interrupted_and_resumed_is_uninterrupted(
    stops: tuple[int, ...], whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    settings = {"seed": 4, "out": out, "snapshot_seconds": 0}
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    for stop in stops:
        with pytest.raises(InterruptedTrainingError):
            train(stage, data, recipe, on_step=stop_at(stop), **settings)
        assert not (out / "run.json").exists()
    steps: list[int] = []
    train(stage, data, recipe, on_step=lambda done, *_: steps.append(done), **settings)
    resumed_after = stops[-1] // 2 * 2  # the last line of metrics, where the snapshot is
    assert steps == list(range(resumed_after + 1, 13))
    assert weights(out) == weights(whole_run)
    assert timeless(out) == timeless(whole_run)
    ours, theirs = read_json(out / "run.json"), read_json(whole_run / "run.json")
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    assert {path.name for path in out.iterdir()} == {path.name for path in whole_run.iterdir()}


KILLED = """
    import os, pickle, signal, sys
    import torch
    torch.set_num_threads(1)
    from pathlib import Path
    from lt_interp.training.loop import train
    stage, data, recipe = pickle.loads(Path(sys.argv[1]).read_bytes())

    def on_step(done, total, line):
        if done == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    train(stage, data, recipe, seed=4, out=Path(sys.argv[2]), on_step=on_step, snapshot_seconds=0)
"""


def test_killed_and_resumed_is_uninterrupted(
    whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    out, job = tmp_path / "run", tmp_path / "job.pickle"
    train_rows, validation_rows = (
        dataclasses.replace(rows, tokens=np.array(rows.tokens))
        for rows in (data.train, data.validation)
    )
    in_memory = dataclasses.replace(data, train=train_rows, validation=validation_rows)
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    job.write_bytes(pickle.dumps((stage, in_memory, recipe)))
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(job), str(out)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [line["step"] for line in read_metrics(out)] == [2, 4, 6]
    # what a kill in the middle of writing leaves: half a line, and a file never renamed
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "tok')
    train(stage, data, recipe, seed=4, out=out)
    assert weights(out) == weights(whole_run)
    assert timeless(out) == timeless(whole_run)


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


def test_another_run_in_the_same_folder_is_refused(
    whole_run: Path, data: Data, small_stage: Build, tmp_path: Path
) -> None:
    finished, begun = tmp_path / "finished", tmp_path / "begun"
    shutil.copytree(whole_run, finished)
    stage, recipe = small_stage("10_moe_gated"), quick("10_moe_gated")
    with pytest.raises(InterruptedTrainingError):
        train(stage, data, recipe, seed=4, out=begun, on_step=stop_at(6), snapshot_seconds=0)
    before = {path: sha256_file(path) for path in tmp_path.rglob("*") if path.is_file()}
    for out in (finished, begun):
        with pytest.raises(InputError, match="differs in recipe"):
            train(stage, data, quick("10_moe_gated", lr=1e-3), seed=4, out=out)
        with pytest.raises(InputError, match="differs in seed"):
            train(stage, data, recipe, seed=5, out=out)
        with pytest.raises(InputError, match="differs in model, recipe, stage"):
            train(small_stage("09_multi_head"), data, quick("09_multi_head"), seed=4, out=out)
    assert {p: sha256_file(p) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_finished_folder_is_not_trained_again(
    whole_run: Path, data: Data, small_stage: Build
) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole_run.iterdir()}
    model = train(
        small_stage("10_moe_gated"),
        data,
        quick("10_moe_gated"),
        seed=4,
        out=whole_run,
        on_step=stop_at(*range(13)),
    )
    assert {path: path.stat().st_mtime_ns for path in whole_run.iterdir()} == before
    for name, weight in load(whole_run).state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)


def test_a_damaged_snapshot_is_named(data: Data, small_stage: Build, tmp_path: Path) -> None:
    stage, recipe = small_stage("03_bigram"), quick("03_bigram")
    settings = {"seed": 0, "out": tmp_path, "snapshot_seconds": 0}
    with pytest.raises(InterruptedTrainingError):
        train(stage, data, recipe, on_step=stop_at(6), **settings)
    snapshot = tmp_path / "snapshot.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"snapshot\.safetensors is damaged.*delete it"):
        train(stage, data, recipe, **settings)


def test_a_loss_that_is_not_finite_ends_the_run(
    data: Data, small_stage: Build, tmp_path: Path
) -> None:
    recipe = quick("03_bigram", lr_embed=1e30, lr_unembed=1e30, clip_norm=0.0)
    said = r"at step \d+ .* not finite|the loss is (nan|inf)"
    with pytest.raises(InputError, match=said):
        train(small_stage("03_bigram"), data, recipe, seed=0, out=tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_the_last_good_snapshot_is_kept_and_the_place_is_named(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight turns infinite by the update of step 7: its name and the step are told."""
    stage, recipe = small_stage("09_multi_head"), quick("09_multi_head", log_every=1)
    settings: dict[str, Any] = {"seed": 0, "out": tmp_path / "run", "snapshot_seconds": 0}
    whole = train(stage, data, recipe, **{**settings, "out": tmp_path / "whole"})
    update = _Run.update

    def overflow(run: _Run, step: int) -> None:
        update(run, step)
        if step == 6:
            with torch.no_grad():
                run.model.blocks[1].mlp.W_in[0, 0] = torch.inf

    with monkeypatch.context() as patch:
        patch.setattr(_Run, "update", overflow)
        with pytest.raises(InputError, match=r"at step 7 .*blocks\.1\.mlp\.W_in holds NaN or inf"):
            train(stage, data, recipe, **settings)
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
    mended = train(stage, data, recipe, **settings)
    for name, weight in whole.state_dict().items():
        assert torch.equal(mended.state_dict()[name], weight), name


def test_a_loss_that_is_no_number_is_named_by_its_step(
    data: Data, small_stage: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = _Run.backward
    monkeypatch.setattr(
        _Run, "backward", lambda run, step: math.nan if step == 4 else backward(run, step)
    )
    with pytest.raises(InputError, match="at step 5 the loss is nan"):
        train(small_stage("03_bigram"), data, quick("03_bigram"), seed=0, out=tmp_path)
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4]


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


def test_dropout_acts_while_training_and_an_interruption_changes_nothing(
    small_stage: Build, data: Data, tmp_path: Path
) -> None:
    def dropping(share: float) -> Stage:
        plain = small_stage("07_block")
        return dataclasses.replace(plain, config=dataclasses.replace(plain.config, dropout=share))

    def run(share: float, folder: str, **options: Any) -> StageModel:
        return train(
            dropping(share), data, quick("07_block"), seed=0, out=tmp_path / folder, **options
        )

    whole = run(0.3, "whole")
    assert not whole.training
    run(0.0, "none")
    losses = [
        [line["train_loss_nats"] for line in read_metrics(tmp_path / name)]
        for name in ("whole", "none")
    ]
    assert losses[0][0] != losses[1][0]
    before = torch.random.get_rng_state()
    with pytest.raises(InterruptedTrainingError):
        run(0.3, "pieces", on_step=stop_at(5), snapshot_seconds=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    run(0.3, "pieces")
    assert weights(tmp_path / "pieces") == weights(tmp_path / "whole")


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
