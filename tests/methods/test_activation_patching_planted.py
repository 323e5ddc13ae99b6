"""A stage whose answer passes through one head and one position: the analysis finds both."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.activation_patching import activation_patching
from lt_interp.methods.activation_patching.donors import allowed_donors, donor_rows
from lt_interp.methods.activation_patching.experts import (
    CHOICE,
    OTHER,
    OUTPUT,
    expert_rows,
    expert_sweep,
)
from lt_interp.methods.activation_patching.metrics import last_logits, logit_difference
from lt_interp.methods.activation_patching.patching import needed_hooks
from lt_interp.methods.activation_patching.prompt_pairs import PromptPair, group_pairs
from lt_interp.methods.activation_patching.summary import p_values
from lt_interp.methods.activation_patching.sweep import (
    donor_recoveries,
    role_cells,
    run_baselines,
)
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

LAYER, HEAD, PLACE = 1, 0, 4  # the swapped letter of "the X ran." stands at position 4


def model_of(stage: str, *, seed: int, **change: object) -> StageModel:
    config = STAGES[stage].config
    size = {"d_model": 16, "d_vocab": 256, "n_ctx": 16, "eos_id": 0}
    config = dataclasses.replace(config, **size, d_mlp=24 if config.d_mlp else 0, **change)
    return StageModel(config, tokenizer=ByteTokenizer(), name=stage, seed=seed)


def planted() -> StageModel:
    """Two blocks of two heads in which one head alone carries anything to other positions."""
    model = model_of("09_multi_head", seed=0)
    with torch.no_grad():
        for layer, block in enumerate(model.blocks):
            for head in range(2):
                if (layer, head) != (LAYER, HEAD):
                    block.attn.W_V[head] = 0
            block.mlp.W_out.zero_()
            block.mlp.b_out.zero_()
        model.blocks[LAYER].attn.W_V[HEAD] *= 8
        model.blocks[LAYER].attn.W_K[HEAD] = 0  # it reads all positions alike
        model.unembed.W_U *= 40
    return model


def pairs_for(model: StageModel, letters: str = "abcdefgh") -> list[PromptPair]:
    """Prompts that differ in one letter; the answers that the model moves most between them."""
    prompts = {letter: f"the {letter} ran." for letter in letters}
    tokens = torch.tensor([list(prompt.encode()) for prompt in prompts.values()])
    logits = dict(zip(letters, last_logits(model, tokens)[:, 97:123], strict=True))
    pairs = []
    for clean, corrupt in itertools.combinations(letters, 2):
        gap = logits[clean] - logits[corrupt]
        answers = [chr(97 + int(place)) for place in (gap.argmax(), gap.argmin())]
        pairs.append(
            PromptPair(
                template="letters", kind="subject", clean=prompts[clean],
                corrupt=prompts[corrupt], clean_answer=answers[0], corrupt_answer=answers[1],
            )
        )  # fmt: skip
    return pairs


@pytest.fixture(scope="module")
def result(rows: Rows) -> Result:
    model = planted()
    narrow = dataclasses.replace(rows, tokens=rows.tokens[:, :17])
    return activation_patching(model, narrow, seed=0, pairs=pairs_for(model))


def cells(result: Result, **where: object) -> pd.DataFrame:
    table = result.tables["cells"]
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_the_pairs_are_kept(result: Result) -> None:
    (row,) = result.rows("clean_accuracy")
    assert row["n_pairs"] == 28
    assert row["kept"] >= 20


@pytest.mark.parametrize(("direction", "carried"), [("denoising", 1.0), ("noising", 0.0)])
def test_the_planted_head_carries_everything_and_the_others_nothing(
    result: Result, direction: str, carried: float
) -> None:
    heads = cells(result, direction=direction, position_role="all")
    heads = heads[heads["component"].isin(["z", "v"])]
    found = {(r.component, r.layer, r.head): r.recovery for r in heads.itertuples()}
    assert len(found) == 8
    for (_, layer, head), value in found.items():
        wanted = carried if (layer, head) == (LAYER, HEAD) else 1 - carried
        assert value == pytest.approx(wanted, abs=1e-4)


def test_the_planted_position_carries_everything_and_the_others_nothing(result: Result) -> None:
    examples = result.tables["examples"]
    stream = examples[(examples["component"] == "resid_pre") & (examples["layer"] == LAYER)]
    for direction, patched in (("denoising", 1.0), ("noising", 0.0)):
        rows = stream[stream["direction"] == direction]
        values = dict(zip(rows["position"], rows["recovery"]))
        assert values == {
            p: pytest.approx(patched if p == PLACE else 1 - patched, abs=1e-4)
            for p in range(PLACE, 10)
        }
    assert (stream["low"] <= stream["recovery"]).all()
    assert (stream["recovery"] <= stream["high"]).all()
    roles = cells(result, direction="denoising", component="resid_pre", layer=LAYER)
    found = dict(zip(roles["position_role"], roles["recovery"]))
    assert found == {
        "differing": pytest.approx(1, abs=1e-4), "between": pytest.approx(0, abs=1e-4),
        "last": pytest.approx(0, abs=1e-4),
    }  # fmt: skip


def test_the_table_of_what_matters_begins_with_it(result: Result) -> None:
    ranked = result.tables["important"]
    assert set(ranked["layer"].head(3)) == {LAYER}
    assert set(ranked["component"].head(3)) == {"attn_out", "z", "v"}
    assert set(ranked["head"].dropna()) == {HEAD}
    assert (ranked["q"] <= 0.05).all()


def test_where_the_clean_prediction_is_restored_no_divergence_is_left(result: Result) -> None:
    table = cells(result, direction="denoising", component="resid_pre", position_role="differing")
    assert (table["kl_nats"] < 1e-3).all()
    inert = cells(result, direction="denoising", component="mlp_out")
    assert (inert["kl_nats"] > 0.1).all()


def test_a_wrong_donor_has_another_answer_and_is_never_the_target() -> None:
    model = planted()
    pairs = pairs_for(model)
    (group,), _ = group_pairs(pairs, ByteTokenizer(), n_ctx=16)
    prompts = [pair.clean for pair in pairs] + [pair.corrupt for pair in pairs]
    answers = [pair.clean_answer for pair in pairs] + [pair.corrupt_answer for pair in pairs]
    drawn = donor_rows(group, of_clean=True, rng=np.random.default_rng(0))
    assert drawn is not None
    for pair, row in zip(pairs, drawn, strict=True):
        assert answers[row] != pair.clean_answer
        assert prompts[row] != pair.corrupt
    # with a single pair there is only the target itself, so there is no donor
    assert not allowed_donors(group.take([0]), of_clean=True).any()
    assert donor_rows(group.take([0]), of_clean=True, rng=np.random.default_rng(0)) is None


def test_router_and_expert_patches_are_those_of_the_hooks() -> None:
    model = model_of("10_moe", seed=2)
    pairs = pairs_for(model, letters="abcd")
    (group,), _ = group_pairs(pairs, ByteTokenizer(), n_ctx=16)
    found = expert_sweep(model, group, seed=0)
    place = (LAYER, None, "last")
    expert = "blocks.1.mlp.hook_expert_indices"
    _, clean = model.run_with_cache(group.clean)
    _, corrupt = model.run_with_cache(group.corrupt)

    def alone(tokens: torch.Tensor, new: torch.Tensor) -> np.ndarray:
        def write(indices: torch.Tensor, hook: object) -> torch.Tensor:
            indices[:, -1] = new[:, -1]
            return indices

        logits = model.run_with_hooks(tokens, fwd_hooks=[(expert, write)])[:, -1]
        nats = logit_difference(logits, group.answers)
        ends = [logit_difference(last_logits(model, t), group.answers)
                for t in (group.clean, group.corrupt)]  # fmt: skip
        return ((nats - ends[1]) / (ends[0] - ends[1])).detach().numpy()

    other = 1 - clean[expert]  # of two experts
    np.testing.assert_allclose(
        found["noising", OTHER, *place]["recovery"], alone(group.clean, other), atol=1e-4
    )
    np.testing.assert_allclose(
        found["denoising", CHOICE, *place]["recovery"], alone(group.corrupt, clean[expert]),
        atol=1e-4,
    )  # fmt: skip
    assert (found["noising", OTHER, *place]["share_changed"] == 1).all()
    differ = (clean[expert][:, -1, 0] != corrupt[expert][:, -1, 0]).numpy()
    np.testing.assert_array_equal(found["denoising", CHOICE, *place]["share_changed"], differ)
    # an expert that a token does not go to cannot be seen
    for number in range(2):
        output = found["denoising", OUTPUT, LAYER, number, "last"]
        idle = (corrupt[expert][:, -1, 0] != number).numpy()
        np.testing.assert_allclose(output["recovery"][idle], 0, atol=1e-5)
        np.testing.assert_array_equal(output["share_changed"], ~idle)


def test_an_experts_patch_is_tested_against_the_run_that_it_changes() -> None:
    """Where no donor was asked: a clean run keeps all of the difference, a corrupt one has none."""

    def p(direction: str, recovery: float) -> float:
        n = 12
        values = {
            "recovery": np.full(n, recovery), "donor_recovery": np.full(n, np.nan),
            "kl_nats": np.zeros(n), "share_changed": np.ones(n),
        }  # fmt: skip
        (row,) = expert_rows({(direction, OTHER, 1, None, "last"): [values]}, seed=0)
        assert row["recovery"] == recovery
        return row["p"]

    assert p("noising", 1.0) == p("denoising", 0.0) == 1
    assert p("noising", 0.5) < 0.01
    assert p("noising", 0.0) < 0.01
    assert p("denoising", 1.0) < 0.01


@pytest.mark.slow
def test_false_positives_stay_at_their_nominal_rate() -> None:
    """Sources of one distribution: two wrong donors of each pair, drawn independently."""
    hits, n = 0, 200
    for trial in range(n):
        model = model_of("09_multi_head", seed=trial)
        (group,), _ = group_pairs(pairs_for(model), ByteTokenizer(), n_ctx=16)
        cell = role_cells(model.config, group)["z", 0, 0, "all"]
        base = run_baselines(model, group, needed_hooks(model, [cell]))
        first, second = (
            donor_recoveries(model, group, base, [cell], seed=2 * trial + k)[cell] for k in range(2)
        )
        (p,) = p_values([first - second], seed=trial)
        assert p is not None
        hits += p <= 0.05
    # a binomial count of 200 at 5% lies between 4 and 18 in 99% of cases
    assert 3 <= hits <= 19


def test_the_recovery_from_a_wrong_donor_is_that_of_a_run_by_hand() -> None:
    model, seed, name = model_of("09_multi_head", seed=1), 5, "blocks.1.attn.hook_z"
    (group,), _ = group_pairs(pairs_for(model), ByteTokenizer(), n_ctx=16)
    cell = role_cells(model.config, group)["z", 1, 0, "all"]
    base = run_baselines(model, group, needed_hooks(model, [cell]))
    rng = np.random.default_rng([seed, *group.template.encode()])
    rows = donor_rows(group, of_clean=True, rng=rng)
    _, donors = model.run_with_cache(torch.cat([group.clean, group.corrupt])[rows])

    def write(z: torch.Tensor, hook: object) -> torch.Tensor:
        z[:, :, 0] = donors[name][:, :, 0]
        return z

    patched = model.run_with_hooks(group.corrupt, fwd_hooks=[(name, write)])[:, -1]
    clean, corrupt = (last_logits(model, tokens) for tokens in (group.clean, group.corrupt))
    nats, high, low = (logit_difference(x, group.answers) for x in (patched, clean, corrupt))
    np.testing.assert_allclose(
        donor_recoveries(model, group, base, [cell], seed=seed)[cell],
        ((nats - low) / (high - low)).detach().numpy(), rtol=1e-3, atol=1e-3,
    )  # fmt: skip
