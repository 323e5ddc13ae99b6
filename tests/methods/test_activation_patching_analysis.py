"""The analysis as it is called: tiny checkpoints, tables, statistics."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from lt_interp.corpus.windows import Rows
from lt_interp.methods.activation_patching import activation_patching
from lt_interp.methods.activation_patching.important import important
from lt_interp.methods.activation_patching.prompt_pairs import PromptPair
from lt_interp.methods.activation_patching.summary import means, p_values
from lt_interp.methods.checkpoints import untrained
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.training.checkpoint import load

NAMES = ("01_bag_of_words", "03_bigram", "04_attention", "05_attn_position", "10_moe")


def letters() -> list[PromptPair]:
    """Every pair twice, its sides and its answers the other way round."""
    return [
        PromptPair(
            template="letters", kind="subject", clean=f"a {a} b", corrupt=f"a {b} b",
            clean_answer="t" if a < b else "h", corrupt_answer="h" if a < b else "t",
        )
        for a, b in itertools.permutations("aeioldnr", 2)
    ]  # fmt: skip


def test_where_no_pair_can_be_expressed_every_stage_says_so(trained: Path, rows: Rows) -> None:
    longer = [dataclasses.replace(pair, corrupt=f"{pair.corrupt} b") for pair in letters()]
    result = activation_patching([trained / name for name in NAMES], rows, pairs=longer, seed=0)
    applies = result.tables["applies"]
    assert applies["stage"].tolist() == list(NAMES)
    assert not applies["applies"].any()
    assert set(applies["reason"]) == {
        "its tokenizer or context cannot express any of the prompt pairs"
    }
    assert set(result.tables["pairs"]["unusable"]) == {"the prompts differ in length"}
    assert all(
        not len(table) for name, table in result.tables.items() if name not in ("pairs", "applies")
    )


def test_a_model_without_a_tokenizer_says_so_too(trained: Path, rows: Rows) -> None:
    model = load(trained / "04_attention")
    bare = StageModel(model.config, name="bare")
    result = activation_patching(bare, rows, pairs=letters())
    assert result.tables["applies"]["applies"].tolist() == [False]
    assert set(result.tables["pairs"]["unusable"]) == {"no tokenizer is known"}


def test_stages_whose_answers_do_not_differ_say_so(trained: Path, rows: Rows) -> None:
    """A bigram reads the last token, which is the same in both prompts."""
    result = activation_patching([trained / "03_bigram"], rows, pairs=letters())
    (row,) = result.rows("clean_accuracy")
    assert row["clean_nats"] == pytest.approx(row["corrupt_nats"], abs=1e-6)
    assert row["kept"] == 0
    (reason,) = result.tables["applies"]["reason"]
    assert "no pair's logit difference falls by 1 nat" in reason


@pytest.fixture(scope="module")
def loud(trained: Path) -> list[StageModel]:
    """Tiny stages whose unembedding is large enough for differences of a nat."""
    models = [load(trained / name) for name in NAMES]
    for model in models:
        model.unembed.W_U.data *= 2000
    return models


@pytest.fixture(scope="module")
def result(loud: list[StageModel], rows: Rows) -> Result:
    return activation_patching(loud, rows, seed=3, pairs=letters())


def answers_apart(model: StageModel, side: str) -> np.ndarray:
    """How far the clean answer's logit lies above the other one's, pair by pair."""
    pairs = letters()
    tokens = torch.tensor([list(getattr(pair, side).encode()) for pair in pairs])
    clean, corrupt = ([ord(getattr(pair, f"{of}_answer")) for pair in pairs]
                      for of in ("clean", "corrupt"))  # fmt: skip
    with torch.no_grad():
        last = model(tokens)[:, -1].double()
    each = torch.arange(len(pairs))
    return (last[each, clean] - last[each, corrupt]).numpy()


def test_who_is_right_is_what_the_logits_say(loud: list[StageModel], result: Result) -> None:
    accuracy = result.tables["clean_accuracy"].set_index("stage")
    by_template = result.tables["by_template"].set_index("stage")
    for model in loud:
        name = str(model.cfg.model_name)
        clean, corrupt = (answers_apart(model, side) for side in ("clean", "corrupt"))
        blank = answers_apart(untrained(model, seed=3), "clean")
        row = accuracy.loc[name]
        assert row["share_right"] == (clean > 0).mean(), name
        assert row["untrained_share_right"] == (blank > 0).mean(), name
        assert row["clean_nats"] == pytest.approx(clean.mean(), rel=1e-4, abs=1e-3)
        assert row["corrupt_nats"] == pytest.approx(corrupt.mean(), rel=1e-4, abs=1e-3)
        assert row["low"] <= row["share_right"] <= row["high"]
        assert by_template.loc[name, "share_right"] == row["share_right"]  # of one template
    assert accuracy["share_right"].nunique() > 1


def test_tables_are_what_the_stages_have(result: Result) -> None:
    cells = result.tables["cells"]
    parts = cells.groupby("stage")["component"].agg(set).to_dict()
    assert parts["01_bag_of_words"] == {"embed"}
    heads = {"z", "q", "k", "v", "pattern"}
    assert parts["05_attn_position"] == {"embed", "attn_out", *heads}
    stream = {"resid_pre", "attn_out", "resid_mid", "mlp_out"}
    assert parts["10_moe"] == {"embed", *stream, *heads}
    assert "03_bigram" not in parts
    assert set(result.tables["experts"]["stage"]) == {"10_moe"}
    kept = result.tables["clean_accuracy"].set_index("stage")["kept"]
    assert (cells["n_pairs"] == kept.loc[cells["stage"]].to_numpy()).all()


def test_swapped_embeddings_carry_everything_by_construction(result: Result) -> None:
    cells = result.tables["cells"]
    embed = cells[(cells["component"] == "embed") & (cells["position_role"] == "differing")]
    wanted = (embed["direction"] == "denoising").astype(float)
    np.testing.assert_allclose(embed["recovery"].to_numpy(float), wanted, atol=1e-4)


def test_the_two_directions_mirror_each_other(result: Result) -> None:
    """With every pair asked both ways round, restoring one answer is destroying the other."""
    cells = result.tables["cells"]
    cells = cells[["layer", "head"]].astype(float).fillna(-1).combine_first(cells)
    place = ["stage", "component", "layer", "head", "position_role"]
    both = cells.pivot(index=place, columns="direction", values="recovery")
    assert len(both) > 30
    np.testing.assert_allclose(both["denoising"], 1 - both["noising"], atol=1e-3)


def test_the_same_seed_gives_the_same_result_and_progress_ends(
    loud: list[StageModel], rows: Rows, result: Result, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    again = activation_patching(
        loud, rows, seed=3, pairs=letters(), progress=lambda done, n, _: steps.append((done, n))
    )
    again.save(tmp_path)
    assert {name: Result.load(tmp_path).rows(name) for name in result.tables} == {
        name: result.rows(name) for name in result.tables
    }
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_means_are_resampled_by_pair() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(2, 3, size=400)
    mean, one, none = means([values, values[:1], values[:0]], seed=0)
    assert mean.estimate == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert mean.low == pytest.approx(values.mean() - half, abs=0.05)
    assert mean.high == pytest.approx(values.mean() + half, abs=0.05)
    assert_array_equal(dataclasses.astuple(one), (values[0], np.nan, np.nan))
    assert dataclasses.astuple(none) == (None, None, None)


def test_sign_flips_give_the_exact_p_of_all_flips() -> None:
    values = np.array([0.9, 0.4, 1.3, -0.2, 0.7, 0.5])
    sums = [np.dot(signs, values) for signs in itertools.product((-1, 1), repeat=6)]
    exact = np.mean(np.abs(sums) >= abs(values.sum()) - 1e-9)
    (p, zero, nothing) = p_values([values, np.zeros(6), values[:0]], seed=0)
    assert p == pytest.approx(exact, abs=0.01)
    assert zero == 1
    assert nothing is None


def test_only_what_beats_its_donor_by_enough_matters_and_the_strongest_is_first() -> None:
    def cell(component: str, recovery: float, q: float | None, **more: object) -> dict:
        return {
            "checkpoint": "m", "stage": "s", "train_seed": 0, "direction": "denoising",
            "component": component, "layer": 0, "head": None, "position_role": "last",
            "recovery": recovery, "low": recovery - 0.1, "high": recovery + 0.1,
            "donor_recovery": 0.1, "template_low": 0.0, "template_high": 1.0, "q": q,
            "n_pairs": 9, **more,
        }  # fmt: skip

    cells = pd.DataFrame([
        cell("mlp_out", 0.3, 0.01),
        cell("mlp_out", 0.8, None, direction="noising"),
        cell("attn_out", -0.5, 0.01),
        cell("z", 0.9, 0.2, head=0, position_role="all"),
        cell("z", 0.2, 0.01, head=1, position_role="all"),
        cell("z", 0.9, 0.01, head=1, position_role="last"),
        cell("v", 0.04, 0.01, head=1, position_role="all"),
        cell("resid_mid", 1.0, 0.01),
    ])  # fmt: skip
    found = important(cells)
    assert found["component"].tolist() == ["attn_out", "mlp_out", "z"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["noising_recovery"].tolist()[1] == 0.8
    assert found["noising_recovery"].isna().tolist() == [True, False, True]
