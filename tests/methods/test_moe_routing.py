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
from lt_interp.errors import InputError
from lt_interp.methods.analyze import analyze
from lt_interp.methods.moe_routing import moe_routing
from lt_interp.methods.moe_routing.causal import causal_rows
from lt_interp.methods.moe_routing.decisions import Decisions, collect, rows_needed, special_ids
from lt_interp.methods.moe_routing.embeddings import embedding_inputs
from lt_interp.methods.moe_routing.load import repetition_rows
from lt_interp.methods.moe_routing.origin import gradient_rows
from lt_interp.methods.moe_routing.other_routers import AGREEMENT, KAPPA, other_routers
from lt_interp.methods.moe_routing.random_router import counted, decided, random_routers
from lt_interp.methods.moe_routing.routed import routed, sets
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel

from .conftest import tiny

TABLES = {
    "load", "tokens", "counts", "labelings", "information", "repetition", "margin", "causal",
    "nulls", "article_words", "article_agreement", "agreement", "feeling_words", "feeling_shares",
    "origin", "applies",
}  # fmt: skip


@pytest.fixture(scope="module")
def result(trained: Path, rows: Rows) -> Result:
    names = [trained / name for name in ("04_attention", "10_moe", "10_moe-seed1")]
    return moe_routing(names, rows, seed=0, draws=20)


def by_parity(model: StageModel) -> StageModel:
    """Route every layer by the parity of the token id, whatever else a stage does.

    The embeddings say the parity, nothing else is added to the stream, and routers read just that.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "W_O" in name or "W_out" in name or "b_out" in name or "W_pos" in name:
                weight.zero_()
            if name.endswith("router.weight"):
                weight.zero_()
                weight[0, 0], weight[1, 0] = -1.0, 1.0
        model.W_E.normal_(generator=torch.Generator().manual_seed(0))
        model.W_E[:, 0] = 6.0 * (2 * (torch.arange(model.config.d_vocab) % 2) - 1)
    return model


def stage(name: str, tokenizer: ByteTokenizer, seed: int = 0) -> StageModel:
    return StageModel(tiny(name), tokenizer=tokenizer, name=name, seed=seed)


@pytest.fixture(scope="module")
def decisions(rows: Rows) -> Decisions:
    return collect(stage("10_moe", ByteTokenizer()), rows, rows.n_rows)


def test_every_table_is_there_and_stages_without_experts_say_why(result: Result) -> None:
    assert set(result.tables) == TABLES
    applies = result.tables["applies"].set_index("checkpoint")
    assert applies["applies"].to_dict() == {
        "04_attention": False, "10_moe": True, "10_moe-seed1": True
    }  # fmt: skip
    assert "no experts" in applies.loc["04_attention", "reason"]
    of_words = {"feeling_words", "feeling_shares", "article_agreement"}  # bytes are no words
    for name in TABLES - of_words - {"applies", "agreement"}:
        assert set(result.tables[name]["checkpoint"]) == {"10_moe", "10_moe-seed1"}, name
    assert {"0", "1", "pooled"} == set(result.tables["load"]["layer"])


def test_decisions_are_those_of_the_hooks(rows: Rows) -> None:
    model = stage("10_moe", ByteTokenizer(), seed=3)
    found = collect(model, rows, 20)
    tokens = torch.from_numpy(rows.tokens[:20, :-1].astype(np.int64))
    _, cache = model.run_with_cache(tokens)
    kept = ~np.isin(tokens.numpy(), special_ids(model))
    story = rows.story_ids(slice(20))[:, :-1]
    assert_array_equal(found.token, tokens.numpy()[kept])
    assert_array_equal(found.story, story[kept])
    for layer in range(2):
        chosen = cache["expert_indices", layer, "mlp"][..., 0].numpy()
        assert_array_equal(found.expert[layer], chosen[kept])
        weights = cache["expert_weights", layer, "mlp"].numpy()[kept].astype(np.float64)
        assert_allclose(
            found.margin_logits[layer], np.abs(np.log(weights[:, 0] / weights[:, 1])), atol=1e-5
        )
        assert_allclose(
            found.entropy_nats[layer], -(weights * np.log(weights)).sum(axis=1), atol=1e-5
        )
        norm = model.blocks[layer].ln2
        read = cache["normalized", layer, "ln2"] * norm.w + norm.b
        assert_allclose(found.inputs[layer], read.detach().numpy()[kept], atol=1e-6)


def test_neighbours_are_positions_of_one_row_that_are_counted(decisions: Decisions) -> None:
    has = decisions.before >= 0
    before = decisions.before[has]
    assert_array_equal(decisions.row[before], decisions.row[has])
    assert_array_equal(decisions.position[before] + 1, decisions.position[has])
    assert_array_equal(decisions.token[before], decisions.previous[has])
    assert (decisions.previous[decisions.position == 0] == -1).all()
    lost = ~has & (decisions.position > 0)  # after the end of a story
    assert lost.any()
    assert np.isin(decisions.previous[lost], special_ids(stage("10_moe", ByteTokenizer()))).all()


def test_repetition_is_counted_within_layers(decisions: Decisions) -> None:
    found = {row["layer"]: row for row in repetition_rows(decisions, sets(decisions), seed=0)}
    same = []
    for layer in range(2):
        pairs = [
            (decisions.expert[layer, i], decisions.expert[layer, j])
            for i, j in enumerate(decisions.before)
            if j >= 0
        ]
        share = np.mean([a == b for a, b in pairs])
        assert_allclose(found[str(layer)]["repeated_share"], share)
        assert found[str(layer)]["n_pairs"] == len(pairs)
        same.append(share)
        load = np.bincount(decisions.expert[layer]) / len(decisions.token)
        assert_allclose(found[str(layer)]["chance_sum_p_squared"], np.square(load).sum())
    assert_allclose(found["pooled"]["repeated_share"], np.mean(same))
    for column in ("chance_sum_p_squared", "expected_from_tokens"):  # not those of pooled loads
        mean = np.mean([found[str(layer)][column] for layer in range(2)])
        assert_allclose(found["pooled"][column], mean)


def test_pooling_adds_up_layers_and_numbers_may_be_exchanged(decisions: Decisions) -> None:
    pooled = routed(decisions, [0, 1])
    apart = [routed(decisions, [layer]).token_counts() for layer in (0, 1)]
    assert_array_equal(pooled.token_counts(), apart[0] + apart[1])
    turned = routed(decisions, [0, 1], labels=((0, 1), (1, 0)))
    assert_array_equal(turned.token_counts(), apart[0] + apart[1][:, ::-1])


def test_rows_are_read_until_there_are_enough(rows: Rows) -> None:
    special = [0]
    per_row = 2 * (rows.tokens[:, :-1] != 0).sum(axis=1)
    assert rows_needed(rows, special, n_layers=2, decisions=int(per_row[:3].sum())) == 3
    assert rows_needed(rows, special, n_layers=2, decisions=int(per_row[:3].sum()) + 1) == 4
    assert rows_needed(rows, special, n_layers=2, decisions=10**9) == rows.n_rows
    with pytest.raises(InputError, match="asks for no decision"):
        rows_needed(rows, special, n_layers=2, decisions=0)


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


def test_identical_experts_make_it_all_the_same_where_tokens_go(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = stage("10_moe", tokenizer)
    classes = ["other"] * 256
    different = pd.DataFrame(causal_rows(model, rows, rows.n_rows, classes, seed=0))
    for block in model.blocks:
        block.mlp.experts[1].load_state_dict(block.mlp.experts[0].state_dict())
    same = pd.DataFrame(causal_rows(model, rows, rows.n_rows, classes, seed=0))
    assert (same[["loss_change_nats", "low", "high"]] == 0).all(axis=None)
    assert (different["loss_change_nats"] != 0).all()
    assert same["n_tokens"].nunique() == 1


def test_one_expert_for_all_changes_nothing_where_it_serves_all(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = by_parity(stage("10_moe", tokenizer))
    with torch.no_grad():
        model.W_E[:, 0] = 6.0  # every token to expert 1
        for block in model.blocks:
            nn.init.normal_(block.mlp.experts[0].W_out, generator=torch.Generator().manual_seed(1))
    found = pd.DataFrame(causal_rows(model, rows, rows.n_rows, ["other"] * 256, seed=0))
    change = found.set_index(["layer", "intervention", "token_class"])["loss_change_nats"]
    for layer in ("0", "1", "all"):
        assert change[(layer, "all to expert 1", "all")] == 0
        assert change[(layer, "all to expert 0", "all")] != 0
        assert_allclose(change[(layer, "sent to the other expert", "all")],
                        change[(layer, "all to expert 0", "all")])  # fmt: skip


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
