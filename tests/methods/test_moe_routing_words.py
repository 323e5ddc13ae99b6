"""Feeling words beside words as frequent, and experts matched across models: planted and null."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from lt_interp.methods.moe_routing.across_models import (
    agreement,
    article_agreement,
    article_words,
    common_labels,
)
from lt_interp.methods.moe_routing.alignment import align
from lt_interp.methods.moe_routing.article_words import (
    article_counts,
    labeling_rows,
    labelings,
    labels_text,
    word_rows,
)
from lt_interp.methods.moe_routing.common_numbers import with_common_experts
from lt_interp.methods.moe_routing.feelings import feeling_words
from lt_interp.methods.moe_routing.matched_words import feeling_rows, feeling_shares, words_of
from lt_interp.methods.moe_routing.matching import (
    difference_interval,
    differences,
    frequency_blocks,
    permutation_test,
)
from lt_interp.methods.moe_routing.nulls import with_null_q
from lt_interp.methods.moe_routing.tally import Tally


def test_a_planted_exchange_of_labels_is_undone() -> None:
    rng = np.random.default_rng(0)
    reference = rng.dirichlet(np.ones(4), size=60)
    order = np.array([2, 0, 3, 1])  # the other model's expert k is the reference's order[k]
    noisy = 0.9 * reference[:, order] + 0.1 * rng.dirichlet(np.ones(4), size=60)
    found = align(reference, noisy, seed=0)
    assert found is not None
    assert found.labels == tuple(order)
    assert found.correlation > 0.95
    assert found.p == 1 / 1000
    assert found.n_tokens == 60


def test_two_experts_are_matched_by_the_sign_of_their_correlation() -> None:
    share = np.array([0.1, 0.4, 0.6, 0.9, 0.3])
    reference = np.stack([1 - share, share], axis=1)
    same, swapped = (
        align(reference, reference, seed=0),
        align(reference, reference[:, ::-1], seed=0),
    )
    assert same is not None
    assert swapped is not None
    assert (same.labels, swapped.labels) == ((0, 1), (1, 0))
    assert_allclose([same.correlation, swapped.correlation], 1.0)


def test_nothing_is_matched_where_all_tokens_go_alike() -> None:
    alike = np.full((9, 2), 0.5)
    assert align(alike, alike, seed=0) is None
    assert align(np.eye(2), np.eye(2), seed=0) is None


def test_p_values_of_unrelated_models_are_spread_evenly() -> None:
    # Choosing the better of two matchings always finds some correlation; its null chooses as well.
    ps = []
    for seed in range(25):
        share = np.random.default_rng(seed).uniform(size=(2, 30))
        found = align(*(np.stack([1 - s, s], axis=1) for s in share), seed=seed)
        assert found is not None
        assert found.correlation > 0
        ps.append(found.p)
    assert binomtest(sum(p <= 0.2 for p in ps), len(ps), 0.2).pvalue > 0.01
    assert 0.35 < np.mean(ps) < 0.65


def test_blocks_hold_neighbours_of_one_group() -> None:
    rng = np.random.default_rng(1)
    count, group = rng.integers(20, 9000, 173), rng.integers(0, 3, 173)
    block = frequency_blocks(count, group)
    for one in np.unique(block):
        inside = block == one
        assert len(np.unique(group[inside])) == 1
        others = (block != one) & (group == group[inside][0])
        low, high = count[inside].min(), count[inside].max()
        assert not ((count[others] > low) & (count[others] < high)).any()
        assert 10 <= inside.sum() <= 40


def test_marked_words_that_go_elsewhere_are_found() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat(np.arange(10), 20)
    marked = np.tile(np.arange(20) < 2, 10)
    share = rng.uniform(0.2, 0.6, 200) + 0.3 * marked
    found = permutation_test(share, marked, strata, seed=0)
    assert found["p"] == 1e-4
    assert 0.2 < found["difference"] < 0.4
    assert_allclose(found["feeling_share"] - found["matched_share"], found["difference"])


def test_frequency_cannot_pass_for_feeling() -> None:
    # Marked words are frequent and frequent words go to expert 1: matched, nothing is left.
    strata = np.repeat(np.arange(10), 20)
    rng = np.random.default_rng(3)
    share = strata / 10 + rng.normal(0, 0.01, 200)
    marked = rng.uniform(size=200) < (strata + 1) / 15
    marked[::20] = True  # one in every stratum at least
    assert share[marked].mean() - share[~marked].mean() > 0.1
    assert permutation_test(share, marked, strata, seed=0)["p"] > 0.05


def test_deviation_is_that_of_the_permutations() -> None:
    rng = np.random.default_rng(4)
    strata = np.repeat([0, 1, 2], [8, 11, 20])
    marked = np.isin(np.arange(39), [0, 3, 9, 21, 30, 38])
    share = rng.uniform(size=39)
    _, deviation = differences(share[None], marked, strata)
    drawn = []
    for _ in range(2000):
        order = np.lexsort((rng.uniform(size=39), strata))
        drawn.append(differences(share[order][None], marked, strata)[0][0])
    assert_allclose(np.mean(drawn), 0, atol=4 * deviation[0] / np.sqrt(2000))
    assert_allclose(np.std(drawn), deviation[0], rtol=0.08)


def test_the_interval_of_the_difference_is_that_of_resampled_stories() -> None:
    # One stratum, one word of each kind, ten decisions a story: a difference of two means.
    rng = np.random.default_rng(5)
    sent = rng.binomial(10, [0.7, 0.4], size=(300, 2))
    n = np.full_like(sent, 10)
    marked, strata = np.array([True, False]), np.zeros(2, dtype=np.int64)
    low, high = difference_interval(sent, n, marked, strata, seed=0)
    each = (sent[:, 0] - sent[:, 1]) / 10
    half = 1.96 * each.std() / np.sqrt(300)
    assert_allclose([low, high], [each.mean() - half, each.mean() + half], atol=0.15 * half)
    assert np.isnan(difference_interval(sent[:1], n[:1], marked, strata, seed=0)).all()


@pytest.mark.slow
def test_feeling_words_that_are_like_others_are_found_at_the_nominal_rate() -> None:
    found = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        strata = np.repeat(np.arange(12), 20)
        marked = rng.uniform(size=240) < 0.08
        kept = np.isin(strata, strata[marked])
        share = rng.beta(0.5, 0.5, 240)[kept]
        test = permutation_test(share, marked[kept], strata[kept], seed=seed, permutations=499)
        found += test["p"] <= 0.05
    assert binomtest(found, 400, 0.05).pvalue > 0.01


def test_the_articles_feeling_words_are_on_the_list() -> None:
    assert {"sorry", "sad", "happy", "angry", "loved", "love", "felt"} <= feeling_words()
    assert all(word.isalpha() and word == word.lower() for word in feeling_words())


def test_the_articles_counts_are_its_notebooks_and_its_printed_table() -> None:
    words = {one["word"]: one for one in article_counts()}
    assert len(words) == len(article_counts())
    assert words[" sorry"]["article_count"] == words[" sorry"]["article_total"] == 154
    assert words["\n"]["article_count"] == 8100
    assert words[" together"]["article_expert"] == 0
    assert (words[" upon"]["article_printed"], words[" upon"]["article_count"]) == (0.966, None)
    assert all(one["article_share"] > 0.8 for one in words.values())


def test_numberings_are_all_there_are() -> None:
    assert [labels_text(one) for one in labelings(2, 2)] == ["01/01", "01/10", "10/01", "10/10"]
    assert labelings(3, 2) == []


def test_a_layer_that_cannot_be_matched_says_so() -> None:
    share = {"a": [0.1, 0.5, 0.9, 0.3], "b": [0.5] * 4, "c": [0.9, 0.5, 0.1, 0.7]}
    shares = pd.DataFrame([
        {"checkpoint": name, "stage": "10_moe", "layer": "0", "token_id": token, "expert": expert,
         "share": one if expert else 1 - one}
        for name, of_tokens in share.items()
        for token, one in enumerate(of_tokens)
        for expert in range(2)
    ])  # fmt: skip
    found = agreement(shares, seed=0).set_index(["checkpoint", "other"])
    unmatched = found.loc[("a", "b")]
    assert unmatched["labels"] == "01"
    assert pd.isna(unmatched["p"])
    assert pd.isna(unmatched["q"])
    assert "every token alike" in unmatched["reason"]
    assert found.loc[("a", "c"), "labels"] == "10"
    assert found.loc[("a", "c"), "q"] == found.loc[("a", "c"), "p"]  # the only one that was tested


def test_experts_get_their_common_numbers() -> None:
    table = pd.DataFrame({"checkpoint": ["a", "a", "a", "b"], "layer": ["0", "1", "pooled", "0"],
                          "expert": [1, 1, 1, 0]})  # fmt: skip
    found = with_common_experts(table, {"a": "01/10"})["common_expert"]
    assert found.tolist()[:2] == [1, 0]
    assert found.isna().tolist() == [False, False, True, True]


def test_false_discoveries_of_routers_are_held_down_by_family() -> None:
    table = pd.DataFrame({
        "null": ["random router"] * 3 + ["shuffled in the corpus"], "stage": "10_moe",
        "statistic": "x",
        "layer": ["0", "1", "pooled", "0"], "p_two_sided": [0.01, 0.04, 0.03, 0.001],
    })  # fmt: skip
    q = with_null_q(table)["q"]
    assert q.tolist()[:3] == [0.02, 0.04, 0.03]
    assert pd.isna(q[3])


def word_counts(checkpoint: str, shares: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """The shares of a word of either expert of the article that expert 1 gets, by numbering."""
    return pd.DataFrame([
        {"checkpoint": checkpoint, "stage": "10_moe", "train_seed": 0, "labels": labels,
         "word": word, "token_id": place, "n_decisions": 100, "count_1": round(100 * share),
         "share_1": share, "low_1": share - 0.05, "high_1": share + 0.02, "load_1": 0.6,
         "n_stories": 9}
        for labels, both in shares.items()
        for place, (word, share) in enumerate(zip(ONE_OF_EACH, both, strict=True))
    ])  # fmt: skip


ONE_OF_EACH = [
    next(one["word"] for one in article_counts() if one["article_expert"] == expert)
    for expert in (0, 1)
]


def test_the_articles_words_are_asked_of_the_expert_that_the_article_gives_them() -> None:
    first = {"01/01": (0.1, 0.9), "10/10": (0.9, 0.1), "01/10": (0.5, 0.5), "10/01": (0.5, 0.5)}
    other = {"01/01": (0.5, 0.5), "10/10": (0.5, 0.5), "01/10": (0.8, 0.3), "10/01": (0.2, 0.7)}
    counts = pd.concat([word_counts("a", first), word_counts("b", other)])
    pairs = pd.DataFrame({
        "checkpoint": "a", "other": "b", "layer": ["0", "1"], "labels": ["10", "01"]
    })  # fmt: skip
    labels = common_labels(counts, pairs)
    assert labels == {"a": "01/01", "b": "10/01"}
    models = [{"checkpoint": name, "stage": "10_moe", "train_seed": 0} for name in "ab"]
    words = article_words(models, counts, labels).set_index(["checkpoint", "word"])
    of_0, of_1 = (words.loc[("a", word)] for word in ONE_OF_EACH)
    assert (of_0["share"], of_1["share"]) == pytest.approx((0.9, 0.9))
    assert (of_0["count"], of_1["count"]) == (90, 90)
    assert (of_0["low"], of_0["high"]) == pytest.approx((0.88, 0.95))
    assert (of_1["low"], of_1["high"]) == pytest.approx((0.85, 0.92))
    assert (of_0["load"], of_1["load"]) == pytest.approx((0.4, 0.6))
    assert of_0["over_80"]
    assert words.loc[("b", ONE_OF_EACH[0]), "share"] == pytest.approx(0.8)
    assert not words.loc[("b", ONE_OF_EACH[1]), "over_80"]
    table = article_agreement(counts, labels).set_index(["checkpoint", "numbering"])
    assert table["mean_share"].tolist() == pytest.approx([0.9, 0.9, 0.75, 0.75])
    assert table["n_over_80"].tolist() == [2, 2, 0, 0]
    assert table["fitted"].tolist() == [True, True, False, True]


def counted(sent: np.ndarray) -> Tally:
    """A tally of decisions [layer token expert] of two layers, in one story."""
    token = np.repeat(np.arange(sent.shape[1]), sent[0].sum(axis=1))
    experts = [np.concatenate([np.repeat([0, 1], of) for of in layer]) for layer in sent]
    tally = Tally(n_layers=2, n_experts=2, n_stories=1, d_vocab=sent.shape[1])
    zeros = np.zeros_like(token)
    tally.count(token, zeros - 1, zeros, zeros, np.stack(experts))
    return tally


def test_words_are_pooled_under_every_numbering() -> None:
    sent = np.array([[[90, 10], [20, 80]], [[30, 70], [95, 5]]])
    tally = counted(sent)
    rows = {(row["labels"], row["token_id"]): row
            for row in word_rows(tally, [ONE_OF_EACH[0], "no word of it"], seed=0)}  # fmt: skip
    assert {key: row["count_1"] for key, row in rows.items()} == {
        ("01/01", 0): 10 + 70, ("01/10", 0): 10 + 30, ("10/01", 0): 90 + 70, ("10/10", 0): 90 + 30,
    }  # fmt: skip
    assert rows["10/01", 0]["share_1"] == pytest.approx(0.8)
    assert rows["10/01", 0]["load_1"] == pytest.approx((90 + 20 + 70 + 5) / 400)
    over = {row["labels"]: (row["n_over_80"], row["n_over_80_expert_0"], row["n_over_80_expert_1"])
            for row in labeling_rows(counted(10 * sent + sent // 5), least=100)}  # fmt: skip
    assert over["01/01"] == (0, 0, 0)
    assert over["01/10"] == (1, 0, 1)  # 80 + 95 of 200 to expert 1 of the second token
    assert over["10/01"] == (1, 1, 0)  # and of the first 160 to expert 1, no more than 80%


def test_feeling_words_and_others_are_told_apart_by_the_expert_asked_about() -> None:
    feelings = [" happy", " sad", " angry", " sorry"]
    others = [f" word{chr(97 + i)}" for i in range(16)]
    sent = np.array([[4, 36]] * 4 + [[24, 16]] * 16)  # expert 1 gets 0.9 and 0.4
    tokens, classes = [*feelings, *others], ["adjective"] * 20
    tally = counted(np.stack([sent, sent]))
    words = words_of(tally.set([0]), tokens, classes)
    assert words.feeling.tolist() == [True] * 4 + [False] * 16
    stories = np.stack([sent // 4] * 4)
    random = np.stack([sent, sent[:, ::-1], np.full_like(sent, 20)])
    rows = feeling_rows(words, stories, random, layer="0", seed=0)
    assert [row["matched_by"] for row in rows] == ["frequency", "frequency and class"]
    for row in rows:
        assert row["expert"] == 1
        assert (row["feeling_share"], row["matched_share"]) == pytest.approx((0.9, 0.4))
        assert (row["difference"], row["low"], row["high"]) == pytest.approx((0.5, 0.5, 0.5))
        assert row["random_routers_as_far"] == pytest.approx(2 / 3)
        assert row["p"] < 0.01
        assert (row["n_words"], row["n_others"], row["n_decisions"]) == (4, 16, 160)
    shares = feeling_shares(words, tokens, layer="0")
    assert {row["word"]: row["share"] for row in shares} == dict.fromkeys(feelings, 0.9)
    assert {row["n_decisions"] for row in shares} == {40}
