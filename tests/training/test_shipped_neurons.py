"""No feed-forward layer of a shipped model is dead: its neurons fire, in every expert."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

import lt_interp as lt
from lt_interp.corpus import open_corpus
from lt_interp.stages import LADDER, get_stage
from lt_interp.training.run_folder import read_config, shipped_checkpoints, shipped_folder

LEAST = 0.95  # share of neurons that fire on some token of the first stories
STORIES = 40


def with_neurons() -> list[str]:
    stages = {name: read_config(shipped_folder(name))["stage"] for name in shipped_checkpoints()}
    return [
        name for name, stage in stages.items() if stage in LADDER and get_stage(stage).config.d_mlp
    ]


@pytest.mark.parametrize("name", with_neurons())
def test_nearly_all_neurons_fire(name: str) -> None:
    model = lt.load(name)
    fired: dict[str, torch.Tensor] = {}
    for story in islice(open_corpus("embedded").stories(), STORIES):
        tokens = model.to_tokens(story)[:, : model.config.n_ctx - 1]
        _, cache = model.run_with_cache(tokens, names_filter=lambda hook: "hook_post" in hook)
        for hook, post in cache.items():
            fires = (post > 0).any(dim=1)[0]
            fired[hook] = fires | fired.get(hook, fires)
    assert fired
    for hook, neurons in fired.items():
        assert neurons.float().mean().item() >= LEAST, hook
