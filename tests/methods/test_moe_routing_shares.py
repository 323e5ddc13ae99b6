"""Planted routers, independent ones, and the tests that tell them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom, binomtest, ttest_1samp

from lt_interp.methods.moe_routing.by_token import (
    discoveries,
    token_rows,
    token_stories,
    wilson,
)
from lt_interp.methods.moe_routing.exchange import Exchange
from lt_interp.methods.moe_routing.information import (
    CONTEXT,
    ENTROPY,
    POSITION,
    PREVIOUS,
    RESIDUAL,
    TOKEN,
    information_rows,
    mutual_information_nats,
)
from lt_interp.methods.moe_routing.load import load_rows
from lt_interp.methods.moe_routing.routed import Routed
from lt_interp.methods.moe_routing.shuffles import position_bins, shuffled_counts
from lt_interp.methods.moe_routing.story_groups import ends, left_out_counts
from lt_interp.methods.moe_routing.story_test import effective_stories, story_p_values
from lt_interp.methods.moe_routing.summaries import common_tokens, summarise
from lt_interp.methods.moe_routing.tally import tallied
from lt_interp.methods.routing_names import N_DISCOVERIES, N_OVER, TOKEN_SHARE

D_VOCAB, N_STORIES, ROW = 60, 80, 50


def planted(seed: int, expert: str, *, n: int = 8000, topical: float = 0.3) -> Routed:
    """Stories with words of their own, routed by parity of the token id, by chance, and so on."""
    rng = np.random.default_rng(seed)
    story = np.sort(rng.integers(0, N_STORIES, n))
    topic = rng.integers(0, D_VOCAB, (N_STORIES, 3))
    common = np.minimum(rng.zipf(1.6, n) - 1, D_VOCAB - 1)
    token = np.where(rng.uniform(size=n) < topical, topic[story, rng.integers(0, 3, n)], common)
    position = np.arange(n) % ROW
    # A story leans to one expert, and so does, within it, each of its tokens: both are correlated.
    lean = rng.beta(3, 2, N_STORIES)[story]
    own = rng.beta(0.6, 0.4, (N_STORIES, D_VOCAB))[story, token]
    chosen = {
        "parity": token % 2,
        "chance": (rng.uniform(size=n) < 0.6).astype(np.int64),
        "story": (rng.uniform(size=n) < lean).astype(np.int64),
        "token in story": (rng.uniform(size=n) < own).astype(np.int64),
        "previous": np.roll(token, 1) % 2,
    }[expert]
    return Routed(
        name="0", layer=np.zeros(n, np.int64), token=token.astype(np.int64),
        previous=np.where(position > 0, np.roll(token, 1), -1), position=position,
        row=np.arange(n) // ROW, story=story, expert=chosen.astype(np.int64), n_experts=2,
        n_stories=N_STORIES, d_vocab=D_VOCAB,
    )  # fmt: skip


def table_of(routed: Routed, seed: int = 0) -> pd.DataFrame:
    return discoveries(pd.DataFrame(token_rows(tallied(routed), str, seed=seed)))


def information(routed: Routed, seed: int = 0, draws: int = 99) -> pd.DataFrame:
    rows = information_rows(routed, seed=seed, draws=draws)
    return pd.DataFrame(rows).set_index("quantity")


def test_parity_of_the_token_is_found() -> None:
    routed = planted(0, "parity", topical=0.0)
    table = table_of(routed)
    assert len(table) > 8
    assert (table["share"] == 1).all()
    assert (table["expert"] == table["token_id"] % 2).all()
    assert table["over_80"].all()
    assert table["discovery"].all()
    found = information(routed)
    assert_allclose(found.loc[TOKEN, "value_nats"], found.loc[ENTROPY, "value_nats"], rtol=1e-12)
    assert_allclose(found.loc[RESIDUAL, "value_nats"], 0, atol=1e-12)
    assert_allclose(found.loc[CONTEXT, "value_nats"], 0, atol=1e-12)
    assert found.loc[TOKEN, "p"] == 0.01
    counts = summarise(routed.token_counts()[None], common_tokens(tallied(routed), least=100))
    assert_allclose(counts[TOKEN_SHARE], 1)
    assert counts[N_OVER] == len(table)


def test_the_previous_token_is_found_beyond_the_token() -> None:
    found = information(planted(1, "previous"))
    share = found["corrected_share_of_entropy"]
    assert share[PREVIOUS] > 0.95
    assert share[CONTEXT] > 0.8
    assert found.loc[CONTEXT, "p"] == 0.01
    assert share[TOKEN] < share[CONTEXT] / 2


@pytest.mark.parametrize("kind", ["chance", "story", "token in story"])
def test_a_router_that_knows_no_token_is_not_called_specialised(kind: str) -> None:
    routed = planted(2, kind)
    assert table_of(routed)["discovery"].sum() == 0
    found = information(routed)
    assert abs(found.loc[POSITION, "corrected_share_of_entropy"]) < 0.01
    if kind != "token in story":  # there a token and its story do decide, so context tells
        assert (
            found.loc[[TOKEN, PREVIOUS, CONTEXT], "corrected_share_of_entropy"].abs().max() < 0.01
        )


def test_taking_decisions_as_independent_would_name_false_specialists() -> None:
    # The same null data: with a binomial test of every decision, most tokens differ from the load.
    routed = planted(3, "token in story")
    found = token_stories(tallied(routed))
    sent, n = found.sent[:, 1], found.counts
    naive = [binomtest(int(k), int(m), found.loads[1]).pvalue for k, m in zip(sent, n)]
    assert np.mean(np.array(naive) < 0.05) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chance", "story", "token in story"])
def test_false_discoveries_stay_at_their_rate(kind: str) -> None:
    p, any_found, information_p = [], 0, []
    for seed in range(200):
        routed = planted(1000 + seed, kind, n=8000)
        table = discoveries(pd.DataFrame(token_rows(tallied(routed), str, seed=seed)))
        p += table["p"].tolist()
        any_found += bool(table["discovery"].any())
        found = information(routed, seed, draws=19)
        information_p.append(found.loc[[TOKEN, PREVIOUS, POSITION, CONTEXT], "p"])
    assert np.mean(np.array(p) <= 0.05) <= 0.05
    assert any_found / 200 <= 0.08  # all hypotheses are true, so any discovery is a false one
    found = (pd.DataFrame(information_p) <= 0.05).sum()
    # What a token does in one story only is something that it tells; its place tells nothing.
    for quantity in [POSITION] if kind == "token in story" else found.index:
        test = binomtest(int(found[quantity]), 200, 0.05, alternative="greater")
        assert test.pvalue > 0.001, found


def test_intervals_of_information_are_those_of_a_jackknife_of_a_mean() -> None:
    # For a mean over groups of one size the jackknife gives Student's interval exactly.
    values = np.random.default_rng(0).normal(size=20)
    left_out = (values.sum() - values) / 19
    low, high = ends(float(values.mean()), left_out)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert_allclose([low, high], [expected.low, expected.high])
    assert ends(1.0, np.ones(1)) == (None, None)


def test_groups_of_stories_are_left_out_whole() -> None:
    story, expert = np.array([3, 3, 5, 9]), np.array([0, 1, 1, 0])
    counts = left_out_counts(story, np.array([0, 0, 1, 1]), expert, n_labels=2, n_experts=2)
    assert_allclose(counts[0], [[0, 0], [1, 1]])
    assert_allclose(counts[1], [[1, 1], [1, 0]])
    assert len(counts) == 3


def test_intervals_lie_about_what_was_corrected() -> None:
    found = information(planted(3, "previous"), draws=19)
    tested = found.drop(ENTROPY)
    middle = (tested["low"] + tested["high"]) / 2
    assert_allclose(middle, tested["corrected"], atol=1e-12)
    assert found.loc[PREVIOUS, "low"] > 0
    assert found.loc[PREVIOUS, "high"] - found.loc[PREVIOUS, "low"] < 0.2


def test_wilson_is_scipys() -> None:
    sent, n = np.array([0, 3, 80, 100, 999]), np.array([5, 7, 100, 100, 1000])
    low, high = wilson(sent, n)
    for k, m, a, b in zip(sent, n, low, high):
        expected = binomtest(int(k), int(m)).proportion_ci(method="wilson")
        assert_allclose([a, b], [expected.low, expected.high], atol=1e-12)


def test_p_value_is_a_binomials_where_votes_are_equal() -> None:
    for load, sent, n in ((0.5, 9, 10), (0.3, 2, 40), (0.9, 30, 30), (0.9, 0, 7)):
        expected = min(1.0, 2 * min(binom.sf(sent - 1, n, load), binom.cdf(sent, n, load)))
        found = story_p_values(np.array([sent / n]), np.array([float(n)]), np.array([load]))
        assert_allclose(found, expected, rtol=1e-9)


def test_effective_stories_count_votes() -> None:
    counts = np.array([[5, 1, 9, 0], [5, 0, 1, 0], [5, 0, 0, 0]])
    found = effective_stories(counts.sum(axis=0), np.square(counts).sum(axis=0))
    assert_allclose(found, [3, 1, 100 / 82, 0])


def test_loads_add_up_and_count_stories() -> None:
    rows = load_rows(tallied(planted(4, "story")), seed=0)
    assert_allclose(sum(row["share"] for row in rows), 1)
    assert all(row["low"] < row["share"] < row["high"] for row in rows)
    assert rows[0]["n_stories"] == N_STORIES


def test_information_of_a_known_table() -> None:
    counts = np.array([[6, 2], [1, 3], [0, 0]])
    joint = counts[:2] / 12
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    assert_allclose(mutual_information_nats(counts), (joint * np.log(joint / product)).sum())
    assert_allclose(mutual_information_nats(np.stack([counts, 2 * counts]))[0],
                    mutual_information_nats(2 * counts))  # fmt: skip


def test_stories_exchange_runs_of_their_decisions() -> None:
    # In stratum 3, blocks of 2, 3 and 5; in stratum 1 of 1 and 2, too unlike; in 8 a single one.
    strata = np.array([3, 3, 1, 3, 1, 3, 3, 1, 8, 8, 3, 3, 3, 3, 3])
    blocks = np.array([0, 0, 0, 1, 5, 1, 1, 5, 2, 2, 7, 7, 7, 7, 7])
    deal, rng = Exchange(strata, blocks), np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        index = np.empty(len(strata), dtype=np.int64)
        index[deal.order] = deal.order[deal.draw(rng)]
        assert (strata[index] == strata).all()
        givers = {}
        for pair in {*zip(strata, blocks)}:
            places = np.flatnonzero((strata == pair[0]) & (blocks == pair[1]))
            (giver,) = set(blocks[index[places]])
            source = np.flatnonzero((strata == pair[0]) & (blocks == giver))
            steps = np.diff(np.searchsorted(source, index[places]))
            assert ((steps % len(source)) == 1 % len(source)).all()
            givers[pair] = giver
        assert {(stratum, giver) for (stratum, _), giver in givers.items()} == {*givers}
        assert {pair for pair, giver in givers.items() if pair[1] != giver} <= {(3, 0), (3, 1)}
        seen.add(tuple(index))
    assert len(seen) > 50


def test_shuffles_deal_what_there_is() -> None:
    routed = planted(5, "parity", n=3000)
    rng = np.random.default_rng(0)
    for bins in (routed.layer, position_bins(routed)):
        counts = shuffled_counts(routed, bins, draws=100, rng=rng)
        actual = routed.token_counts()
        assert (counts.sum(axis=2) == actual.sum(axis=1)).all()
        assert (counts.sum(axis=1) == actual.sum(axis=0)).all()
        by_hand = []
        for _ in range(100):
            order = np.lexsort((rng.uniform(size=routed.n), bins))
            expert = np.empty(routed.n, np.int64)
            expert[np.argsort(bins, kind="stable")] = routed.expert[order]
            table = np.zeros((D_VOCAB, 2), np.int64)
            np.add.at(table, (routed.token, expert), 1)
            by_hand.append(float(mutual_information_nats(table)))
        dealt = mutual_information_nats(counts)
        spread = np.std(by_hand) / np.sqrt(100)
        assert_allclose(dealt.mean(), np.mean(by_hand), atol=6 * spread)
        assert_allclose(dealt.std(), np.std(by_hand), rtol=0.4)


def test_three_experts_are_dealt_too() -> None:
    routed = planted(6, "parity", n=900)
    three = Routed(**{**vars(routed), "expert": routed.token % 3, "n_experts": 3})
    counts = shuffled_counts(three, three.layer, draws=4, rng=np.random.default_rng(0))
    assert (counts.sum(axis=2) == three.token_counts().sum(axis=1)).all()
    assert (counts.sum(axis=1) == three.token_counts().sum(axis=0)).all()
    assert (table_of(three)["share"] == 1).all()


def test_a_token_of_one_story_proves_little_however_often_it_stands_there() -> None:
    alone = planted(8, "parity", topical=0.0)
    token = alone.token.copy()
    token[alone.token == D_VOCAB - 1] = 0
    story = np.bincount(alone.story).argmax()
    token[np.flatnonzero(alone.story == story)[:100]] = D_VOCAB - 1  # an odd id, always expert 1
    routed = Routed(**{**vars(alone), "token": token, "expert": token % 2})
    table = table_of(routed).set_index("token_id")
    row = table.loc[D_VOCAB - 1]
    assert (row["n_decisions"], row["share"], row["n_stories"]) == (100, 1, 1)
    assert row["over_80"]
    assert not row["discovery"]


def test_summaries_of_draws_are_those_of_each_alone() -> None:
    routed = planted(7, "story")
    common = common_tokens(tallied(routed), least=100)
    counts = shuffled_counts(routed, routed.layer, draws=5, rng=np.random.default_rng(1))
    together = summarise(counts, common)
    for draw in range(5):
        alone = summarise(counts[draw][None], common)
        for key, values in together.items():
            assert_allclose(values[draw], alone[key][0])
    parity = planted(7, "parity")
    found = summarise(parity.token_counts()[None], common_tokens(tallied(parity), least=100))
    table = pd.DataFrame(token_rows(tallied(parity), str, seed=0))
    assert found[N_DISCOVERIES] == discoveries(table)["discovery"].sum()
