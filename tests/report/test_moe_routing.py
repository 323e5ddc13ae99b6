"""The page on routing is true to its tables, whatever they say."""

from __future__ import annotations

import dataclasses
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.sources import Corpus
from lt_interp.corpus.windows import open_rows
from lt_interp.methods.moe_routing import moe_routing
from lt_interp.methods.result import Result
from lt_interp.methods.routing_names import (
    AGREEMENT,
    KAPPA,
    N_OVER,
    RANDOM,
    SHUFFLED,
    TOKEN_SHARE,
    WITHOUT_CONTEXT,
)
from lt_interp.model.stage_model import StageModel
from lt_interp.report import moe_routing_text as text
from lt_interp.report import moe_routing_words_text as words_text
from lt_interp.report.build import build_pages
from lt_interp.report.moe_routing import MOE_ROUTING
from lt_interp.report.moe_routing_causal_text import causal_sentence
from lt_interp.stages import STAGES

WIDTH = 33


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Of three tiny stages, one of them without experts."""
    stories = [f"{a} saw a | {b}.\nBut {a} was <sad>." for a in ("Tom", "Ann", "Sue") for b in
               ("dog", "cat", "big ball", "$girl$", "sun", "tree", "boat", "fish")]  # fmt: skip
    stored = "".join(f"{story}\n<|endoftext|>\n" for story in stories)
    corpus = Corpus(name="planted", split="all", sha256=sha256(stored.encode()).hexdigest(),
                    n_stories=len(stories), read=lambda: iter(stories))  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        rows = open_rows(corpus, ByteTokenizer(), width=WIDTH)
    small = {"d_model": 16, "d_vocab": 256, "n_ctx": WIDTH - 1, "eos_id": 0, "d_mlp": 24}
    models = [
        StageModel(dataclasses.replace(STAGES[name].config, **small), tokenizer=ByteTokenizer(),
                   name=name)
        for name in ("09_multi_head", "10_moe", "10_moe_gated")
    ]  # fmt: skip
    found = moe_routing(models, rows, draws=20, command="lt-interp analyze moe-routing")
    for model in found.meta["models"].values():  # what a checkpoint's card would add
        model.update(recipe="ladder", seed=0, tokens_seen=1, val_loss_nats=2.0)
    return found


def test_the_page_is_built_and_built_the_same_again(measured: Result, tmp_path: Path) -> None:
    measured.save(tmp_path / "moe_routing")
    written = []
    for _ in range(2):
        build_pages(tmp_path)
        folder = tmp_path / "moe_routing"
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    page = written[0]["report.md"].decode()
    assert {name for name in written[0] if name.endswith(".svg")} == {
        "specialisation.svg", "tokens.svg", "other_expert.svg", "article_words.svg"
    }  # fmt: skip
    for name in written[0]:
        if name.endswith(".svg"):
            assert f"]({name})" in page
    assert "**09 + Multi-head**: it has no experts" in page
    assert "<code>⏎</code>" in page
    assert "| |" not in page
    assert "nan" not in page.lower().split()


def test_the_headline_names_the_stage_and_what_remains(measured: Result) -> None:
    said = MOE_ROUTING.headline(measured)
    assert said.startswith("In **10 + MoE**, whose router no gradient reaches, ")
    assert "random hyperplane" in said


def test_the_headline_says_what_the_page_says() -> None:
    origin = pd.DataFrame({"stage": ["10_moe"], "gradient_reaches": [False]})
    said = text.headline(nulls((0.3, 0.4, 0.2, 0.7)), origin)
    assert "133.3% [50.0%, 216.7%] of the specialisation remains" in said
    below = text.headline(nulls((0.1, 0.4, 0.2, 0.7)), origin)
    assert "all of the specialisation remains (" in below
    assert "400" not in below
    nothing = nulls((0.0, 0.4, 0.2, 0.7))
    for sentence in (text.headline(nothing, origin), text.remains_sentence(nothing, "10_moe")):
        assert "there is no specialisation that could remain" in sentence
        assert "nan" not in sentence


def test_a_result_without_experts_is_a_page_that_says_so(measured: Result, tmp_path: Path) -> None:
    empty = {name: table.iloc[:0] for name, table in measured.tables.items()}
    applies = measured.tables["applies"]
    empty["applies"] = applies[~applies["applies"]]
    none = Result(name="moe_routing", tables=empty, meta=measured.meta)
    none.save(tmp_path / "moe_routing")
    build_pages(tmp_path)
    page = (tmp_path / "moe_routing" / "report.md").read_text()
    assert "No stage with experts was measured" in page
    assert not list((tmp_path / "moe_routing").glob("*.svg"))
    assert MOE_ROUTING.headline(none) == "No stage with experts was measured."


def nulls(*cases: tuple[float, float, float, float], null: str = RANDOM) -> pd.DataFrame:
    """Value, mean and middle 95% of random routers, a layer each."""
    return pd.DataFrame([
        {"stage": "10_moe", "layer": str(layer), "statistic": statistic, "null": null,
         "value": value, "null_mean": mean, "null_low": low, "null_high": high,
         "q": 0.5 if low <= value <= high else 0.01, "difference_low": value - mean - 0.03,
         "difference_high": value - mean + 0.03}
        for layer, (value, mean, low, high) in enumerate(cases)
        for statistic in (TOKEN_SHARE, AGREEMENT, KAPPA)
    ])  # fmt: skip


def test_what_remains_turns_with_the_numbers() -> None:
    inside = text.remains_sentence(nulls((0.6, 0.45, 0.2, 0.7), (0.4, 0.35, 0.2, 0.5)), "10_moe")
    # half of sqrt(0.5^2 + 0.3^2) / 2 around a mean of 0.4, against 0.5
    assert (
        "80.0% [50.8%, 109.2%] of the specialisation remains, not to be told from all of it"
        in inside
    )
    assert "it cannot be told from them" in inside
    above = text.remains_sentence(nulls((0.9, 0.3, 0.2, 0.4), (0.9, 0.3, 0.2, 0.95)), "10_moe")
    assert "33.3% [" in above
    assert "1 of 2 cases lie above the middle 95%" in above
    assert "(layer 0: 1 of 1, layer 1: 0 of 1)" in above
    below = text.remains_sentence(nulls((0.1, 0.3, 0.2, 0.4)), "10_moe")
    assert "all of the specialisation remains" in below
    assert "1 of 1 cases lie below" in below
    among = text.remains_sentence(nulls((0.1, 0.3, 0.05, 0.4), (0.5, 0.3, 0.2, 0.6)), "10_moe")
    assert "100.0% [" in among
    assert "not to be told from all of it" in among
    assert "disagree" not in among
    apart = text.remains_sentence(nulls((0.25, 0.43, 0.1, 0.6), (0.76, 0.38, 0.3, 0.5)), "10_moe")
    assert "the layers disagree: less than all remains in layer 1, all of it and more" in apart
    assert "25.0% against 43.0% in layer 0 and 76.0% against 38.0% in layer 1" in apart


def test_more_than_the_embeddings_is_said_only_where_it_is() -> None:
    def said(*pairs: tuple[float, float]) -> str:
        cases = [(value, mean, 0.0, 1.0) for value, mean in pairs]
        both = [nulls(*cases, null=WITHOUT_CONTEXT), nulls(*cases)]
        return text.embeddings_sentence(pd.concat(both), "10_moe")

    assert ": No." in said((0.5, 0.8), (0.4, 0.9))
    assert ": Yes." in said((0.9, 0.8), (0.95, 0.9))
    assert "In 1 of 2 cases" in said((0.9, 0.8), (0.4, 0.9))
    assert ": Not shown." in said((0.82, 0.8), (0.4, 0.9))
    assert "above zero in 0 of 2 and below in 1" in said((0.82, 0.8), (0.4, 0.9))


def test_feelings_turn_with_their_tests() -> None:
    def said(q: list[float], apart: float = 0.3) -> str:
        table = pd.DataFrame({"stage": "10_moe", "matched_by": "frequency", "q": q,
                              "q_random": [0.01, 0.5][: len(q)],
                              "difference": [0.2, -0.2][: len(q)],
                              "random_routers_apart": apart})  # fmt: skip
        return words_text.feelings_sentence(table, "10_moe")

    assert ": Yes. In 2 of 2" in said([0.01, 0.02])
    assert ": In part. In 1 of 2" in said([0.01, 0.2])
    assert ": No. In 0 of 2" in said([0.5, 0.2])
    assert "differs by 20.0 percentage points on average" in said([0.5, 0.2])
    assert "than random routers part them, by the same standard: 1 of 2" in said([0.5, 0.2])
    assert "does so easily: 30.0%" in said([0.5, 0.2])
    assert "about the 5% that chance gives" in said([0.5, 0.2], apart=0.05)
    assert "too few" in words_text.feelings_sentence(
        pd.DataFrame(columns=["stage", "matched_by"]), "10_moe"
    )


def test_story_and_structure_turn_with_their_tests_and_those_of_random_routers() -> None:
    def said(*tests: tuple[float, float]) -> str:
        table = pd.DataFrame(tests, columns=["q", "q_random"]).assign(
            stage="10_moe", difference=[0.3, -0.1][: len(tests)], random_router_abs_difference=0.15
        )
        return words_text.story_structure_sentence(table, "10_moe")

    assert ": Yes." in said((0.01, 0.01), (0.02, 0.03))
    assert ": In part." in said((0.01, 0.01), (0.01, 0.5))
    assert ": Not beyond random routers." in said((0.01, 0.5), (0.5, 0.01))
    assert "in 1 of 2 cases" in said((0.01, 0.5), (0.5, 0.01))
    assert "20.0 percentage points apart on average, under random routers 15.0" in said(
        (0.01, 0.5), (0.5, 0.01)
    )
    assert "too few" in words_text.story_structure_sentence(
        pd.DataFrame(columns=["stage"]), "10_moe"
    )


def test_origin_turns_with_what_was_found() -> None:
    def said(reaches: bool, same: list[bool | None]) -> str:
        table = pd.DataFrame({
            "stage": "10_moe", "gradient_reaches": reaches, "as_initialised": same,
            "compared": [one is not None for one in same], "cosine": [1.0, 0.2][: len(same)],
        })  # fmt: skip
        return text.origin_sentence(table, "10_moe")

    assert "no gradient reaches the router in any of 2" in said(False, [True, True])
    assert "bit for bit, the random one" in said(False, [True, True])
    assert "a gradient reaches the router in 2 of 2" in said(True, [False, False])
    assert "no stored router is the one" in said(True, [False, False])
    assert "1 of 2 stored routers are as" in said(True, [True, False])
    assert "not on record" in said(False, [None, None])


def test_article_and_labels_and_seeds_turn() -> None:
    def article(share: list[float], fitted: bool = False) -> str:
        return words_text.article_sentence(pd.DataFrame({
            "numbering": words_text.ALIGNED, "n_over_80": 3, "n_words": 50, "mean_share": share,
            "mean_load": 0.5, "fitted": [fitted, *[False] * (len(share) - 1)],
        }))  # fmt: skip

    assert "not found again" in article([0.4, 0.5])
    assert "more than its load in every run" in article([0.6, 0.7])
    assert "in 1 of 2 runs" in article([0.4, 0.7])
    assert "3 of 50" in article([0.7, 0.4], fitted=True)
    assert "is left out" in article([0.7, 0.4], fitted=True)
    assert "not found again" in article([0.7, 0.4], fitted=True)
    assert "which favours the article" in article([0.7], fitted=True)
    labels = pd.DataFrame({"checkpoint": ["a", "a", "b", "b"], "n_over_80": [100, 40, 7, 7]})
    assert "most in <code>a</code>: from 100 to 40" in words_text.labels_sentence(labels)
    assert "the same however" in words_text.labels_sentence(labels[labels["checkpoint"] == "b"])

    def seeds(q: list[float]) -> str:
        return words_text.seeds_sentence(pd.DataFrame({
            "stage": "10_moe", "other_stage": "10_moe", "correlation": 0.4, "null_mean": 0.1,
            "q": q,
        }), "10_moe")  # fmt: skip

    assert "share their division of labour is not shown" in seeds([0.5, 0.6])
    assert "runs share a part" in seeds([0.01, 0.02])
    assert "some layers share" in seeds([0.01, 0.6])


def test_the_rule_is_said_to_fail_where_one_expert_has_the_load() -> None:
    counts = pd.DataFrame({"stage": ["10_moe"], "layer": ["0"], "n_tokens_tested": [50],
                           "n_over_80": [40], "n_discoveries": [9]})  # fmt: skip

    def said(shuffled: float) -> str:
        rows = [
            {"stage": "10_moe", "layer": "0", "statistic": N_OVER, "null": null,
             "null_mean": mean}
            for null, mean in ((RANDOM, 21.4), (SHUFFLED, shuffled))
        ]  # fmt: skip
        return text.rule_sentence(counts, pd.DataFrame(rows), "10_moe")

    assert "40 of 50 cases" in said(0.0)
    assert "make 21 exceed 80% on average" in said(0.0)
    assert "Shuffled" not in said(0.0)
    assert "Shuffled at random over the corpus, 33 still do" in said(32.8)


def test_gated_differs_only_where_its_test_says_so() -> None:
    def said(gated: float) -> str:
        both = [
            nulls((0.5, 0.4, 0.3, 0.6)),
            nulls((gated, 0.4, 0.3, 0.6)).assign(stage="10_moe_gated"),
        ]
        margin = pd.DataFrame({"stage": ["10_moe", "10_moe_gated"], "quantity": "margin_logits",
                               "value": [0.4, 3.0]})  # fmt: skip
        return text.gated_sentence(pd.concat(both), margin)

    assert said(0.9).startswith("Yes: ")
    assert "lies above random routers' in layer 0 in 1 of 1 run; " in said(0.9)
    assert said(0.1).startswith("Yes: ")
    assert "lies below random routers' in layer 0 in 1 of 1 run; " in said(0.1)
    assert said(0.5).startswith("Not shown: ")
    assert "of the ungated one's, apart from random routers' in no layer" in said(0.5)
    alone = text.gated_sentence(nulls((0.5, 0.4, 0.3, 0.6)), pd.DataFrame())
    assert "Only one of the two stages" in alone


def test_common_numbers_are_said_to_be_guesses_where_nothing_was_matched() -> None:
    pairs = pd.DataFrame({"checkpoint": ["a", "a", "b"], "p": [0.001, None, 0.001],
                          "q": [0.01, None, 0.01]})  # fmt: skip
    said = words_text.numbering_sentence(pairs)
    assert "Of 2 layers of other runs 1 resemble" in said
    assert "1 could not be matched" in said
    assert "could not" not in words_text.numbering_sentence(pairs[pairs["p"].notna()])


def test_a_gated_figure_is_not_set_beside_an_ungated_one() -> None:
    def said(stage: str) -> str:
        return causal_sentence(pd.DataFrame({
            "stage": stage, "layer": ["0"], "token_class": "all", "low": 0.1,
            "intervention": "sent to the other expert", "loss_change_nats": 0.4,
        }), stage)  # fmt: skip

    assert "not like for like" in said("10_moe_gated")
    assert "like for like" not in said("10_moe")
    assert "what was done to the tokens before it" in said("10_moe")
