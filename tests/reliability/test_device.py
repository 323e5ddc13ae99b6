"""Analyses and training of a model that is elsewhere: on a CUDA device that is pretended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from lt_interp.methods.activation_patching.attribution import attribute
from lt_interp.methods.activation_patching.grids import every_grid, patch_grids
from lt_interp.methods.activation_patching.prompt_pairs import group_pairs, shipped_pairs
from lt_interp.methods.activation_patching.sweep import sweep_group
from lt_interp.methods.analyze import analyze
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.xray import xray
from lt_interp.training.checkpoint import load
from lt_interp.training.loop import train

from ..pretend_cuda import pretend_cuda
from .inputs import RECIPE, characters, small_data, small_stage

ANALYSES = ("evolution", "position_blindness", "attention", "logit_lens", "moe_routing")


def assert_close(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours.detach().cpu(), theirs.detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_finds_the_same_elsewhere(name: str, good: Path) -> None:
    here = find_checkpoints(good / "checkpoint" / "run")
    there = [dataclasses.replace(one, device="cuda") for one in here]
    rows = small_data(good).validation
    wanted = analyze(name, here, corpus=rows)
    with pretend_cuda():
        found = analyze(name, there, corpus=rows)
    assert found.tables.keys() == wanted.tables.keys()
    for table, frame in wanted.tables.items():
        pd.testing.assert_frame_equal(found.tables[table], frame, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stage", ["04_attention", "10_moe_gated"])
def test_patches_are_the_same_elsewhere(stage: str) -> None:
    here = load(stage)
    group = group_pairs(shipped_pairs()[:6], here.tokenizer, n_ctx=256)[0][0]  # type: ignore[arg-type]
    sent: dict[str, Any] = {"clean": group.clean, "corrupt": group.corrupt}
    sent["answers"] = group.answers
    grids = every_grid(here)[:3]
    with pretend_cuda():
        there = load(stage, device="cuda")
        patched, gradients = patch_grids(there, **sent, grids=grids), attribute(there, **sent)
        swept = sweep_group(there, group, seed=0, check=True)[0]
    for grid, values in patch_grids(here, **sent, grids=grids).items():
        assert_close(patched[grid], values)
    assert_close(gradients["z"], attribute(here, **sent)["z"])
    for key, cell in sweep_group(here, group, seed=0, check=True)[0].items():
        assert swept[key].recovery == pytest.approx(cell.recovery, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("stage", ["02_bow_position", "03b_trigram", "09_multi_head", "byte_gpt"])
def test_a_model_is_used_the_same_elsewhere(stage: str) -> None:
    prompt, here = "Once upon a time there was", load(stage)
    with pretend_cuda():
        there = load(stage, device="cuda")
        assert there.cfg.device == "cuda:0"
        logits, cache = there.run_with_cache(prompt)
        text = there.generate(prompt, 12, temperature=0)
        steps = xray(there, prompt).tables
    wanted, kept = here.run_with_cache(prompt)
    assert_close(logits, wanted)
    assert cache.keys() == kept.keys()
    for name, activation in kept.items():
        assert_close(cache[name], activation)
    assert text == here.generate(prompt, 12, temperature=0)
    assert steps.keys() == xray(here, prompt).tables.keys()


def test_a_run_trained_elsewhere_goes_on_there(good: Path, tmp_path: Path) -> None:
    stage, data = small_stage(characters(good).d_vocab), small_data(good)
    settings: dict[str, Any] = {"seed": 0, "snapshot_seconds": 0}

    def stop(done: int, *_: Any) -> None:
        if done == 6:
            raise KeyboardInterrupt

    here = train(stage, data, RECIPE, out=tmp_path / "here", **settings)
    settings |= {"out": tmp_path / "there", "device": "cuda"}
    with pretend_cuda():
        with pytest.raises(KeyboardInterrupt):
            train(stage, data, RECIPE, on_step=stop, **settings)
        there = train(stage, data, RECIPE, **settings)
        perplexity = evaluate(there, data.validation, seed=0).perplexity
        again = load(tmp_path / "there")  # and opens where one asks for it
    for name, weight in here.state_dict().items():
        assert_close(there.state_dict()[name], weight)
        assert again.state_dict()[name].device.type == "cpu"
    assert perplexity == pytest.approx(evaluate(here, data.validation, seed=0).perplexity, rel=1e-3)
