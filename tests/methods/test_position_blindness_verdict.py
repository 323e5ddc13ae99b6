"""Every stage gets its verdict whatever its weights, and planted stages are found out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.methods.position_blindness import (
    BLIND,
    BLIND_AS_MEASURED,
    SENSITIVE,
    expected_verdict,
    position_blindness,
    window_verdict,
)
from lt_interp.methods.position_blindness.verdict import measured_window
from lt_interp.methods.result import Result
from lt_interp.model.config import PRE_NORM_RESIDUAL, ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER, STAGES
from lt_interp.training.checkpoint import load
from lt_interp.training.run_folder import shipped_checkpoints

from .conftest import tiny

VERDICTS = dict.fromkeys(STAGES, SENSITIVE) | {
    "01_bag_of_words": BLIND,
    "02_bow_position": BLIND,
    "03_bigram": BLIND,
    "03b_trigram": "reads only a window of 2",
    "03b_fourgram": "reads only a window of 3",
    "04_attention": BLIND,
    "05_attn_position": SENSITIVE,
    "06_ffn": SENSITIVE,
    "07_block": SENSITIVE,
    "08_two_blocks": SENSITIVE,
    "09_multi_head": SENSITIVE,
    "10_moe": SENSITIVE,
    "10_moe_gated": SENSITIVE,
}
# Few lengths, since rows of one length are read together.
FEW = {"prefixes": 12, "permutations": 8, "lengths": (16, 18)}


def verdict_of(model: StageModel, rows: Rows) -> pd.Series:
    """The verdict on the weights that a model has."""
    table = position_blindness(model, rows, **FEW).tables["verdicts"]
    return table[table["weights"] == "trained"].iloc[0]


def tiny_model(config: ModelConfig, seed: int = 0) -> StageModel:
    return StageModel(config, tokenizer=ByteTokenizer(), name="planted", seed=seed)


@pytest.fixture(scope="module")
def random_weights(rows: Rows) -> Result:
    """All stages with two draws of random weights each."""
    models = [
        StageModel(tiny(stage), tokenizer=ByteTokenizer(), name=stage, seed=5) for stage in STAGES
    ]
    return position_blindness(models, rows, seed=1, **FEW)


@pytest.fixture(scope="module")
def shipped_weights(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The checkpoints of the project on stories that come with it."""
    names = [name for name in shipped_checkpoints() if name in LADDER]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        rows = open_rows(open_corpus("embedded"), load(names[0]).tokenizer)
        return position_blindness(names, rows, **FEW)


@pytest.mark.parametrize("source", ["random_weights", "shipped_weights"])
def test_every_stage_gets_the_verdict_of_its_architecture(
    source: str, request: pytest.FixtureRequest
) -> None:
    tables = request.getfixturevalue(source).tables
    verdicts = tables["verdicts"]
    measured = verdicts["stage"].unique().tolist()
    assert measured in (list(LADDER), list(STAGES))
    assert (verdicts["verdict"] == verdicts["stage"].map(VERDICTS)).all()
    assert (verdicts["expected"] == verdicts["verdict"]).all()
    # Blindness is not a matter of the bound: what is blind stays a factor 10 below it, and what
    # is not goes a factor 10 beyond it.
    tests = tables["permutations"]
    blind = (verdicts["verdict"] == BLIND).to_numpy()
    share = (tests["max_abs_logit_difference"] / tests["bound"]).to_numpy()
    assert share[blind].max() < 0.1
    assert share[~blind].min() > 10
    assert (tests["within_rounding"].to_numpy() == blind).all()


@pytest.mark.parametrize("source", ["random_weights", "shipped_weights"])
def test_swaps_and_sensitivity_agree_with_the_verdict(
    source: str, request: pytest.FixtureRequest
) -> None:
    tables = request.getfixturevalue(source).tables
    reach = {"reads only a window of 2": 1, "reads only a window of 3": 2, BLIND: 0}
    keys = ["stage", "weights"]
    swaps = tables["swaps"].merge(tables["verdicts"][[*keys, "verdict"]], on=keys)
    moved = swaps["max_abs_logit_difference"] > swaps["bound"]
    known = swaps[swaps["verdict"] != SENSITIVE]
    assert (moved[known.index] == (known["distance"] <= known["verdict"].map(reach))).all()
    for row in tables["verdicts"].itertuples():
        if row.stage == "03_bigram":
            assert pd.isna(row.sensitivity)  # another story's prefix moves it no more
        elif row.verdict == BLIND:
            assert row.sensitivity < 1e-6
        else:
            assert 0 < row.sensitivity_low <= row.sensitivity <= row.sensitivity_high


@pytest.mark.parametrize("window", [1, 2, 5, 10])
def test_window_of_any_length_is_measured(rows: Rows, window: int) -> None:
    # 10 lies between the distances 8 and 12 that swaps are asked at.
    config = dataclasses.replace(tiny("03b_fourgram"), window=window)
    row = verdict_of(tiny_model(config), rows)
    assert (
        row["verdict"]
        == row["expected"]
        == (BLIND if window == 1 else f"reads only a window of {window}")
    )
    assert pd.isna(row["window_tokens"]) if window == 1 else row["window_tokens"] == window
    assert row["max_abs_difference_behind_window"] <= row["bound_behind_window"] < 1e-11
    assert row["n_prefixes_behind_window"] > 0


def test_window_is_that_of_the_weights_not_of_the_config(rows: Rows) -> None:
    model = tiny_model(tiny("03b_fourgram"))
    model.unembed.W_U.data[: model.config.d_model] = 0  # the oldest of three tokens is not read
    row = verdict_of(model, rows)
    assert (row["verdict"], row["expected"]) == (
        "reads only a window of 2", "reads only a window of 3"
    )  # fmt: skip


def three_back(n_ctx: int) -> StageModel:
    """A head that looks at its own and the two tokens before, each alike, and nowhere else.

    The first `n_ctx` dimensions say where a token stands, the last eight what it is.
    """
    config = ModelConfig(
        d_vocab=256, n_ctx=n_ctx, d_model=n_ctx + 8, n_heads=1, positions="learned", eos_id=0
    )
    model = tiny_model(config)
    where, what = slice(n_ctx), slice(n_ctx, None)
    for weight in (model.embed.W_E, model.pos_embed.W_pos, *(
        getattr(model.blocks[0].attn, name) for name in ("W_Q", "W_K", "W_V", "W_O")
    )):  # fmt: skip
        weight.data.zero_()
    model.embed.W_E.data[:, what] = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    place = torch.eye(n_ctx)
    model.pos_embed.W_pos.data[:, where] = place
    attention = model.blocks[0].attn
    back = place + place.roll(-1, 1).tril() + place.roll(-2, 1).tril()
    attention.W_Q.data[0][where, where] = 2000 * back
    attention.W_K.data[0][where, where] = place
    for weight in (attention.W_V, attention.W_O):
        weight.data[0][what, what] = torch.eye(8)
    return model


def test_head_built_to_look_two_back_is_a_window_of_three(rows: Rows) -> None:
    model = three_back(rows.width - 1)
    tokens = torch.arange(1, 11)[None]
    _, cache = model.run_with_cache(tokens)
    assert cache["pattern", 0][0, 0, 9].tolist() == pytest.approx([0] * 7 + [1 / 3] * 3)
    row = verdict_of(model, rows)
    # It reads the three as a bag: only the swap across the window's edge shows that it ends there.
    assert row["verdict"] == "reads only a window of 3"
    assert row["expected"] == SENSITIVE


def test_weights_that_happen_to_be_blind_are_not_called_so_by_construction(rows: Rows) -> None:
    model = tiny_model(tiny("05_attn_position"))
    model.pos_embed.W_pos.data.zero_()
    row = verdict_of(model, rows)
    assert (row["verdict"], row["expected"]) == (BLIND_AS_MEASURED, SENSITIVE)


@pytest.mark.parametrize("wiring", [tiny("04_attention").wiring, PRE_NORM_RESIDUAL])
def test_causal_mask_leaks_order_into_a_second_layer(rows: Rows, wiring: object) -> None:
    for n_layers, verdict in ((1, BLIND), (2, SENSITIVE)):
        config = dataclasses.replace(tiny("04_attention"), n_layers=n_layers, wiring=wiring)
        row = verdict_of(tiny_model(config), rows)
        assert row["verdict"] == row["expected"] == verdict


@pytest.mark.parametrize("stage", STAGES)
def test_architecture_alone_tells_what_to_expect(stage: str) -> None:
    assert expected_verdict(STAGES[stage].config) == VERDICTS[stage]
    assert window_verdict(STAGES[stage].config, None) == SENSITIVE


def test_window_is_believed_only_if_shuffling_behind_it_moves_nothing() -> None:
    distance = np.array([1, 1, 2, 3, 4, 6])
    moves = np.array([False, True, True, False, False, False])
    for behind in (3, 4, 5, 9, 10):
        assert measured_window(distance, moves, lambda n: n >= behind, longest=10) == behind  # noqa: B023
    assert measured_window(distance, moves, lambda n: n >= 11, longest=10) is None
    assert measured_window(distance, moves, lambda n: True, longest=2) is None
    still = np.zeros(6, dtype=bool)
    assert measured_window(distance, still, lambda n: True, longest=10) == 1
    assert measured_window(distance, still, lambda n: False, longest=10) is None


def test_faint_look_back_that_float32_loses_is_found(rows: Rows) -> None:
    # The oldest of three tokens a billionth as loud: below what float32 can tell from rounding,
    # far above what double precision can.
    model = tiny_model(tiny("03b_fourgram"))
    model.unembed.W_U.data[: model.config.d_model] *= 1e-9
    tables = position_blindness(model, rows, **FEW).tables
    swaps = tables["swaps"][tables["swaps"]["weights"] == "trained"].set_index("distance")
    assert (swaps.loc[2:, "max_abs_logit_difference"] <= swaps.loc[2:, "bound"]).all()
    assert tables["verdicts"]["verdict"][0] == "reads only a window of 3"


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", [stage for stage, verdict in VERDICTS.items() if verdict != SENSITIVE]
)
def test_rounding_never_looks_like_order(stage: str) -> None:
    # At full width and with large weights, 30 draws of each: no blind stage is called sensitive
    # and no window is missed.
    config = dataclasses.replace(STAGES[stage].config, d_vocab=256, eos_id=0)
    rows = open_rows(open_corpus("embedded"), ByteTokenizer(), width=128)
    found = set()
    for seed in range(30):
        model = tiny_model(config, seed=seed)
        for part in model.parameters():
            part.data *= 1 + seed % 5
        found.add(verdict_of(model, rows)["verdict"])
    assert found == {VERDICTS[stage]}
