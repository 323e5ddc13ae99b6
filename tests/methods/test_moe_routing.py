"""The whole analysis on tiny stages: what routers read and decide, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.analyze import analyze
from lt_interp.methods.moe_routing import moe_routing
from lt_interp.methods.moe_routing.decisions import collect
from lt_interp.methods.moe_routing.embeddings import embedding_inputs
from lt_interp.methods.moe_routing.nulls import _rows
from lt_interp.methods.moe_routing.origin import gradient_rows
from lt_interp.methods.moe_routing.other_routers import other_routers
from lt_interp.methods.moe_routing.random_router import counted, decided, random_routers
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import AGREEMENT, KAPPA

from .moe_stages import by_parity, stage

TABLES = {
    "load", "tokens", "counts", "labelings", "information", "repetition", "margin", "causal",
    "nulls", "article_words", "article_agreement", "agreement", "feeling_words", "feeling_shares",
    "story_structure", "origin", "applies",
}  # fmt: skip


@pytest.fixture(scope="module")
def result(trained: Path, rows: Rows) -> Result:
    names = [trained / name for name in ("04_attention", "10_moe", "10_moe-seed1")]
    return moe_routing(names, rows, seed=0, draws=20)


def test_every_table_is_there_and_stages_without_experts_say_why(result: Result) -> None:
    assert set(result.tables) == TABLES
    applies = result.tables["applies"].set_index("checkpoint")
    assert applies["applies"].to_dict() == {
        "04_attention": False, "10_moe": True, "10_moe-seed1": True
    }  # fmt: skip
    assert "no experts" in applies.loc["04_attention", "reason"]
    of_words = {
        "feeling_words",
        "feeling_shares",
        "story_structure",
        "article_agreement",
    }  # no words
    for name in TABLES - of_words - {"applies", "agreement"}:
        assert set(result.tables[name]["checkpoint"]) == {"10_moe", "10_moe-seed1"}, name
    assert {"0", "1", "pooled"} == set(result.tables["load"]["layer"])


def test_a_router_that_splits_by_parity_is_found_throughout(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    found = moe_routing(by_parity(stage("10_moe", tokenizer)), rows, seed=0, draws=20).tables
    tokens = found["tokens"]
    assert len(tokens) > 10
    assert (tokens["share"] == 1).all()
    assert (tokens["expert"] == tokens["token_id"] % 2).all()
    assert tokens["over_80"].all()
    # A byte that stands in too few stories is left undecided, and only such a one.
    assert tokens.loc[tokens["effective_stories"] > 10, "discovery"].all()
    assert tokens["discovery"].mean() > 0.8
    information = found["information"].set_index(["layer", "quantity"])
    for layer in ("0", "1", "pooled"):
        entropy = information.loc[(layer, "entropy of the expert"), "value_nats"]
        assert_allclose(information.loc[(layer, "token"), "value_nats"], entropy, rtol=1e-12)
        assert_allclose(information.loc[(layer, "left open by the token"), "value_nats"], 0,
                        atol=1e-12)  # fmt: skip
    alone = found["nulls"].query(
        "null == 'random router' and statistic == 'decisions that the embeddings alone give too'"
    )
    assert_allclose(alone["value"], 1)  # nothing but the embeddings reaches these routers


def test_embeddings_alone_are_all_where_nothing_is_added(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = stage("10_moe", tokenizer)
    decisions = collect(model, rows, rows.n_rows)
    for block in model.blocks:
        nn.init.zeros_(block.attn.W_O)
        for expert in block.mlp.experts:
            nn.init.zeros_(expert.W_out)
            nn.init.zeros_(expert.b_out)
    bare = collect(model, rows, rows.n_rows)
    found = embedding_inputs(model, bare, own_position=True)
    assert_allclose(found, bare.inputs, atol=1e-5)
    assert np.abs(found - decisions.inputs).max() > 0.1
    others = other_routers(model, bare, decisions, seed=0, draws=6)
    for layer in others:
        assert (layer.agreement["random router"][AGREEMENT] > 0.999).all()
        assert (layer.agreement["random router"][KAPPA] > 0.99).all()


def test_random_routers_are_routers() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 8)).astype(np.float32)
    tokens = rng.integers(0, 20, 300)
    for n_experts in (2, 3):
        weights = random_routers(8, n_experts, 30, seed=0)
        assert_allclose(weights.std(), 8**-0.5, rtol=0.1)
        experts = np.concatenate(list(decided(inputs, weights)), axis=1)
        for draw in range(30):
            logits = torch.from_numpy(inputs) @ torch.from_numpy(weights[draw]).T
            assert_array_equal(experts[:, draw], logits.argmax(dim=1).numpy())
        counts = counted(tokens, experts, d_vocab=20, n_experts=n_experts)
        expected = np.zeros((20, n_experts), np.int64)
        np.add.at(expected, (tokens, experts[:, 7]), 1)
        assert_array_equal(counts[7], expected)


def test_no_gradient_reaches_an_ungated_router(rows: Rows, tokenizer: ByteTokenizer) -> None:
    tokens = torch.from_numpy(rows.tokens[:2, :-1].astype(np.int64))
    ungated = gradient_rows(stage("10_moe", tokenizer), tokens)
    gated = gradient_rows(stage("10_moe_gated", tokenizer), tokens)
    assert [row["gradient_reaches"] for row in ungated] == [False, False]
    assert [row["gradient_reaches"] for row in gated] == [True, True]
    assert all(row["gradient_norm"] > 0 for row in gated)


def test_a_trained_ungated_router_is_the_one_it_began_with(result: Result) -> None:
    origin = result.tables["origin"]
    assert len(origin) == 4
    assert origin["compared"].all()
    assert origin["as_initialised"].all()
    assert (origin["largest_change"] == 0).all()
    assert_allclose(origin["cosine"], 1, atol=1e-6)
    assert not origin["gradient_reaches"].any()


def test_models_in_memory_say_that_their_beginning_is_not_on_record(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    found = moe_routing(stage("10_moe_gated", tokenizer), rows, draws=5).tables["origin"]
    assert not found["compared"].any()
    assert found["reason"].str.contains("no record").all()


def test_the_same_seed_gives_the_same_numbers(
    result: Result, trained: Path, rows: Rows, tmp_path: Path
) -> None:
    names = [trained / name for name in ("04_attention", "10_moe", "10_moe-seed1")]
    first = moe_routing(names, rows, seed=0, draws=20, keep=tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert len(kept) == 2  # one a stage with experts
    again = moe_routing(names, rows, seed=0, draws=20, keep=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == kept
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(first.tables[name], table)
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_p_counts_the_draws_that_are_as_high() -> None:
    drawn = np.array([1.0, 2.0, 3.0, 4.0])
    expected = {5.0: (1 / 5, 2 / 5), 0.0: (1.0, 2 / 5), 3.0: (3 / 5, 1.0), 4.0: (2 / 5, 4 / 5)}
    for value, (p, two_sided) in expected.items():
        (row,) = _rows("0", "some null", {"a": np.array([value])}, {"a": drawn})
        assert (row["p"], row["p_two_sided"]) == pytest.approx((p, two_sided))
        assert (row["null_low"], row["null_high"]) == pytest.approx((1.075, 3.925))
        assert (row["value"], row["null_mean"], row["n_draws"]) == (value, 2.5, 4)
    (single,) = _rows("0", "some null", {"a": np.array([5.0])}, {"a": drawn[:1]})
    assert single["p"] is None


def test_counts_follow_from_the_tokens(result: Result) -> None:
    tokens = result.tables["tokens"]
    for row in result.tables["counts"].itertuples():
        mine = tokens[(tokens["checkpoint"] == row.checkpoint) & (tokens["layer"] == row.layer)]
        assert row.n_tokens_tested == len(mine)
        assert row.n_over_80 == (mine["share"] > 0.8).sum()
        assert row.n_discoveries == (mine["q"] <= 0.05).sum()
    assert (tokens["n_decisions"] >= 100).all()
    assert (tokens["q"] >= tokens["p"] - 1e-12).all()
    inside = (tokens["wilson_low"] <= tokens["share"]) & (tokens["share"] <= tokens["wilson_high"])
    assert inside.all()


def test_the_articles_words_are_counted_where_they_are_tokens(
    result: Result, tokenizer: ByteTokenizer
) -> None:
    words = result.tables["article_words"]
    assert words["word"].nunique() == len(words) / 2
    missing = words["share"].isna()
    assert missing.all()  # bytes are no words, and these stories have no new line
    assert words.loc[missing, "reason"].notna().all()
    assert words.loc[words["word"] == " sorry", "article_count"].eq(154).all()


def test_it_can_be_called_by_name_with_fewer_decisions(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = stage("10_moe", tokenizer)
    load = analyze("moe-routing", model, corpus=rows, tokens=100).tables["load"]
    n = load.set_index("layer")["n_decisions"]
    assert 100 <= n["pooled"].iloc[0] < 100 + 2 * rows.width
    assert n["0"].iloc[0] * 2 == n["pooled"].iloc[0]
