"""Patched runs are what TransformerLens computes, and find what was planted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import transformer_lens.patching as tl
from numpy.testing import assert_allclose
from scipy.special import log_softmax, rel_entr, softmax
from torch import Tensor

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.errors import InputError
from lt_interp.methods.activation_patching import checks
from lt_interp.methods.activation_patching.cells import HEADS, STREAM, Cell, components
from lt_interp.methods.activation_patching.checks import check_group
from lt_interp.methods.activation_patching.grids import patch_grid
from lt_interp.methods.activation_patching.metrics import kl_nats, logit_difference, recovery
from lt_interp.methods.activation_patching.patching import needed_hooks, patch
from lt_interp.methods.activation_patching.prompt_pairs import (
    PairGroup,
    PromptPair,
    group_pairs,
    shipped_pairs,
)
from lt_interp.methods.activation_patching.run import record
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import load

TL_STREAM = {name: getattr(tl, f"get_act_patch_{name}") for name in STREAM}
TL_HEADS = {
    "z": tl.get_act_patch_attn_head_out_all_pos,
    **{c: getattr(tl, f"get_act_patch_attn_head_{c}_all_pos") for c in HEADS if c != "z"},
}
TL_BY_POSITION = {
    "z": tl.get_act_patch_attn_head_out_by_pos,
    "v": tl.get_act_patch_attn_head_v_by_pos,
    "pattern": tl.get_act_patch_attn_head_pattern_by_pos,
}


def small(stage: str, **change: object) -> ModelConfig:
    config = STAGES[stage].config
    size = {"d_model": 16, "d_vocab": 256, "n_ctx": 16, "eos_id": 0}
    return dataclasses.replace(config, **size, d_mlp=24 if config.d_mlp else 0, **change)


def random_group(n_pairs: int = 3, n_pos: int = 7, *, swapped: int = 2, seed: int = 0) -> PairGroup:
    """Pairs of random bytes that differ at one position."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(1, 256, (n_pairs, n_pos), generator=generator)
    corrupt = clean.clone()
    corrupt[:, swapped] = (clean[:, swapped] + 77) % 255 + 1
    answers = torch.stack([torch.arange(n_pairs) + 40, torch.arange(n_pairs) + 90], dim=1)
    return PairGroup(
        template="random", kind="names", place=tuple(range(n_pairs)), clean=clean,
        corrupt=corrupt, answers=answers,
    )  # fmt: skip


def theirs(function: object, model: StageModel, group: PairGroup) -> Tensor:
    """TransformerLens's own sweep, kept by pair."""
    _, cache = model.run_with_cache(group.clean)
    found = function(  # type: ignore[operator]
        model,
        group.corrupt,
        cache,
        lambda logits: logit_difference(logits[:, -1], group.answers),
        reduce="none",
    )
    return found.values


def ours(model: StageModel, group: PairGroup, component: str, *, by_position: bool) -> Tensor:
    return patch_grid(
        model, group.clean, group.corrupt, component=component, answers=group.answers,
        by_position=by_position,
    )  # fmt: skip


def check_against_transformer_lens(model: StageModel, group: PairGroup) -> None:
    for name, function in {**TL_STREAM, **TL_HEADS}.items():
        grid = ours(model, group, name, by_position=False)
        assert_allclose(grid, theirs(function, model, group), atol=1e-4)


def test_every_cell_is_transformer_lenss_on_random_weights() -> None:
    model = StageModel(small("09_multi_head"), name="09_multi_head", seed=3)
    check_against_transformer_lens(model, random_group(n_pairs=2, n_pos=4))


@pytest.mark.parametrize("stage", ["07_block", "09_multi_head"])
def test_a_single_pair_is_patched_as_several_are(stage: str) -> None:
    model = StageModel(small(stage), name=stage, seed=5)
    check_against_transformer_lens(model, random_group(n_pairs=1, n_pos=4))


def test_every_head_and_position_is_transformer_lenss_on_random_weights() -> None:
    model = StageModel(small("09_multi_head"), name="09_multi_head", seed=4)
    group = random_group(n_pairs=2, n_pos=4)
    for name, function in TL_BY_POSITION.items():
        found = theirs(function, model, group)
        if name == "pattern":  # its sweep has the head before the position
            found = found.transpose(1, 2)
        assert_allclose(ours(model, group, name, by_position=True), found, atol=1e-4)


def test_every_cell_is_transformer_lenss_on_the_shipped_stage() -> None:
    model = load("09_multi_head")
    assert model.tokenizer is not None
    groups, _ = group_pairs(shipped_pairs(), model.tokenizer, n_ctx=256)
    short = min(groups, key=lambda group: group.last)
    check_against_transformer_lens(model, short.take([0, 1]))


@pytest.mark.parametrize("stage", STAGES)
def test_a_batch_of_cells_is_each_cell_run_alone_through_the_hooks(stage: str) -> None:
    """Also where TransformerLens has no sweep: chains, embeddings, windows, several positions."""
    model, group = StageModel(small(stage), name=stage, seed=1), random_group()
    cells = [
        Cell(component=component, layer=layer, positions=positions)
        for component, layer in components(model.config)
        for positions in ((2,), (1, 3), (6,), (3, 6))
    ]
    hooks = needed_hooks(model, cells)
    clean, corrupt = record(model, group.clean, hooks), record(model, group.corrupt, hooks)
    scores = patch(
        model, corrupt, clean.activations, cells, answers=group.answers, clean_logits=clean.logits
    )
    for row, cell in enumerate(cells):

        def write(activation: Tensor, hook: object, cell: Cell = cell) -> Tensor:
            places = list(cell.positions)
            activation[:, places] = clean.activations[cell.hook][:, places]
            return activation

        alone = model.run_with_hooks(group.corrupt, fwd_hooks=[(cell.hook, write)])[:, -1]
        assert_allclose(
            scores.logit_difference[row], logit_difference(alone, group.answers).detach(), atol=1e-5
        )
        assert_allclose(scores.kl_nats[row], kl_nats(clean.logits, alone).detach(), atol=1e-5)


def test_metrics_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    clean, patched = rng.normal(size=(2, 3, 50)).astype(np.float32) * 3
    wanted = rel_entr(softmax(clean, axis=1), softmax(patched, axis=1)).sum(axis=1)
    assert_allclose(kl_nats(torch.tensor(clean), torch.tensor(patched)), wanted, rtol=1e-4)
    assert kl_nats(torch.tensor(clean), torch.tensor(clean)).max() < 1e-6
    answers = torch.tensor([[4, 7], [1, 0], [9, 3]])
    # a logit difference is a difference of log probabilities
    log_probs = log_softmax(clean, axis=1)
    wanted = [log_probs[i, a] - log_probs[i, b] for i, (a, b) in enumerate(answers.tolist())]
    assert_allclose(logit_difference(torch.tensor(clean), answers), wanted, rtol=1e-4)
    ends = torch.tensor([2.0, 5.0]), torch.tensor([-2.0, 1.0])
    assert recovery(ends[0], *ends).tolist() == [1, 1]
    assert recovery(ends[1], *ends).tolist() == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
def test_the_identities_hold_on_every_stage_with_random_weights(stage: str) -> None:
    check_group(StageModel(small(stage), name=stage, seed=5), random_group())


def test_a_model_whose_hooks_lie_is_refused() -> None:
    model = StageModel(small("09_multi_head"), name="noisy")
    generator = torch.Generator().manual_seed(0)
    noise = lambda x, hook: x + torch.rand(x.shape, generator=generator)  # noqa: E731
    model.blocks[1].hook_attn_out.add_hook(noise, is_permanent=True)
    with pytest.raises(RuntimeError, match="clean patched into clean changed the prediction"):
        check_group(model, random_group())


def test_a_patch_that_should_carry_everything_and_does_not_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = Cell(component="attn_out", layer=0, positions=(6,))
    monkeypatch.setattr(checks, "whole_cells", lambda config, last: [part])
    with pytest.raises(RuntimeError, match=r"every position did not recover 1: blocks.0.hook_attn"):
        check_group(StageModel(small("09_multi_head"), name="nine"), random_group())


def test_grids_refuse_what_cannot_be_patched() -> None:
    group, bag = random_group(), StageModel(small("01_bag_of_words"), name="bag")
    with pytest.raises(InputError, match="has no 'z'"):
        patch_grid(bag, group.clean, group.corrupt, component="z", answers=group.answers)
    model = StageModel(small("09_multi_head"), name="nine")
    with pytest.raises(InputError, match="has no 'hook_z'"):
        patch_grid(model, group.clean, group.corrupt, component="hook_z", answers=group.answers)


def test_pairs_that_a_tokenizer_cannot_express_are_refused_with_the_reason() -> None:
    def pair(clean: str, corrupt: str, *answers: str) -> PromptPair:
        return PromptPair(
            template="t", kind="names", clean=clean, corrupt=corrupt, clean_answer=answers[0],
            corrupt_answer=answers[1],
        )  # fmt: skip

    pairs = [
        pair("a cat a ", "a dog a ", "c", "d"),
        pair("a cat a ", "a horse a ", "c", "h"),
        pair("a cat", "a dog", "c", "cat"),
        pair("a cat a ", "a cat a ", "c", "d"),
        pair("a very long cat a ", "a very long dog a ", "c", "d"),
    ]
    groups, refused = group_pairs(pairs, ByteTokenizer(), n_ctx=12)
    (group,) = groups
    assert group.place == (0,)
    assert group.roles == {"differing": (2, 3, 4), "between": (5, 6), "last": (7,)}
    assert refused == {
        1: "the prompts differ in length",
        2: "the answers do not differ in a token",
        3: "the prompts do not differ",
        4: "the prompts are longer than the context",
    }


def test_what_answers_share_is_read_and_their_first_difference_asked() -> None:
    pair = PromptPair(
        template="t", kind="names", clean="Tom. I like", corrupt="Tim. I like",
        clean_answer=" Tom", corrupt_answer=" Tim",
    )  # fmt: skip
    ((group,), refused) = group_pairs([pair], ByteTokenizer(), n_ctx=20)
    assert not refused
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(group.clean[0].tolist()) == "Tom. I like T"
    assert tokenizer.decode(group.corrupt[0].tolist()) == "Tim. I like T"
    assert tokenizer.decode(group.answers[0].tolist()) == "oi"
