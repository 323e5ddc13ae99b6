"""The attention page says what its tables say, and the opposite when they do."""

from __future__ import annotations

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from lt_interp.figures.attention_heads import COLUMNS
from lt_interp.methods.result import Result
from lt_interp.report import attention_claims_text as claims_text
from lt_interp.report import attention_text as text
from lt_interp.report.absent import absent_table
from lt_interp.report.attention_tables import (
    claims_table,
    repetition_table,
    scores_table,
)
from lt_interp.report.build import build_pages

from .conftest import HOSTILE, meta

SELF, BROKE, EXAMPLES = "“to itself”", "“broke open”", "“was” to “there”"
OWN = "mean weight of a token on itself"
WORD = "mean weight on the same token, itself or earlier"
HALF = "share of tokens with more than half on themselves"
HEADS = [("04_attention", 0, 0), ("05_attn_position", 0, 0), ("08_two_blocks", 0, 0),
         ("08_two_blocks", 1, 0)]  # fmt: skip


def score_rows(heads=HEADS, **changes) -> pd.DataFrame:
    rows = [
        {"checkpoint": stage, "stage": stage, "train_seed": 0, "layer": layer, "head": head,
         "score": score, "value": 0.3, "low": 0.28, "high": 0.32, "uniform": 0.1, "untrained": 0.11,
         "untrained_low": 0.1, "untrained_high": 0.12, "difference_from_uniform": 0.2,
         "difference_low": 0.18, "difference_high": 0.22,
         "p": None if score == "entropy_nats" else 0.001,
         "q": None if score == "entropy_nats" else 0.002, "n_queries": 900, "n_stories": 30,
         "n_sequences": None, **changes.get(score, {})}
        for stage, layer, head in heads for score in COLUMNS
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"n_sequences": "Int64"})


def head_rows(kinds=("mostly", "partly", "near", "spread")) -> pd.DataFrame:
    rows = [
        {"checkpoint": stage, "stage": stage, "train_seed": 0, "layer": layer, "head": head,
         "kind": kind, "places": "current" if kind in ("mostly", "partly") else "",
         "strongest": "previous", "value": 0.6, "low": 0.58, "high": 0.62, "last_8": 0.7,
         "mean_distance_tokens": 4.5, "entropy_nats": 1.0, "entropy_maximum_nats": 2.0}
        for (stage, layer, head), kind in zip(HEADS, kinds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def repetition_rows(**change) -> pd.DataFrame:
    rows = [
        {"stage": stage, "layer": layer, "head": head, "score": score, "period_tokens": period,
         "value": 0.1, "low": 0.09, "high": 0.11, "unrepeated": 0.1, "difference": 0.0, "q": 0.9}
        for stage, layer, head in HEADS for score in ("induction", "duplicate")
        for period in (8, 50)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for column, value in change.items():
        table.loc[4 * 3, column] = value  # the last head's induction at the shorter period
    return table


def claim_rows(short=(-0.2, -0.3, -0.1), everywhere=(0.1, 0.05, 0.15)) -> pd.DataFrame:
    def row(claim, stage, where, quantity, value, low, high, verdict):
        return {"claim": claim, "stage": stage, "where": where, "quantity": quantity,
                "value": value, "low": low, "high": high, "baseline": 0.02,
                "baseline_is": "uniform", "untrained": 0.02, "n_queries": 900, "n_stories": 30,
                "rule": "holds above 0.5", "verdict": verdict}  # fmt: skip

    none = (None, None, None)
    before, after = "04_attention", "05_attn_position"
    rows = [
        row(SELF, before, "stories", OWN, 0.6, 0.5, 0.7, "holds"),
        row(SELF, before, "stories", WORD, 0.93, 0.92, 0.94, "holds"),
        row(SELF, before, "stories", HALF, 0.4, 0.3, 0.5, "does not hold"),
        row(SELF, before, HOSTILE, OWN, 0.9, None, None, "holds"),
        row(SELF, before, "overall", "overall", *none, "holds in part"),
        row(BROKE, after, "stories", f"{OWN}, 05 minus 04", *everywhere, "does not hold"),
        row(BROKE, after, claims_text.BEGINNINGS, f"{OWN}, 05 minus 04", *short, "holds"),
        row(BROKE, after, "overall", "overall", *none, "holds in part"),
        row(EXAMPLES, after, HOSTILE, "weight", *none, "not measured"),
        row(EXAMPLES, after, "overall", "overall", *none, "not measured"),
    ]
    return pd.DataFrame(rows)


def make(heads=HEADS) -> Result:
    cells = [
        {"stage": stage, "prompt": HOSTILE, "layer": layer, "head": head, "query": query,
         "key": key, "query_token": "<b>", "key_token": "\n", "weight": 1 / (query + 1)}
        for stage, layer, head in heads for query in range(3) for key in range(query + 1)
    ]  # fmt: skip
    prompts = [{"stage": stage, "prompt": HOSTILE, "n_tokens": 3, "shown": True, "reason": None}
               for stage in dict.fromkeys(head[0] for head in heads)]  # fmt: skip
    prompts.append({"stage": "04_attention", "prompt": "too long", "n_tokens": 99, "shown": False,
                    "reason": "99 tokens"})  # fmt: skip
    places = [
        {"stage": stage, "layer": 0, "head": 0, "score": score, "first_query": first,
         "last_query": 2 * first - 1, "value": 0.5, "low": 0.4, "high": 0.6, "uniform": 0.3}
        for stage in ("04_attention", "05_attn_position") for score in ("current", "same_token")
        for first in (1, 2)
    ]  # fmt: skip
    applies = [{"stage": "03_bigram", "applies": False, "reason": "it has no attention"},
               {"stage": "04_attention", "applies": True, "reason": None}]  # fmt: skip
    tables = {
        "head_scores": score_rows(heads), "heads": head_rows(), "claims": claim_rows(),
        "repetition": repetition_rows(),
        "patterns": pd.DataFrame(cells), "prompts": pd.DataFrame(prompts),
        "by_position": pd.DataFrame(places), "applies": pd.DataFrame(applies),
    }  # fmt: skip
    return Result(name="attention", tables=tables, meta=meta(["04_attention"]))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    make().save(out / "attention")
    build_pages(out)
    return out / "attention"


def test_every_figure_that_is_linked_is_there_and_every_figure_is_linked(built):
    page = (built / "report.md").read_text("utf-8")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page)
    links = [child.attrGet("src") for token in tokens for child in token.children or ()
             if child.type == "image"]  # fmt: skip
    assert sorted(links) == sorted(path.name for path in built.glob("*.svg"))
    assert len(links) == 2 + 3


def test_hostile_prompts_and_tokens_stay_text(built):
    page = (built / "report.md").read_text("utf-8")
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(page)
    assert "<script" not in rendered
    assert "<strong>bold" not in rendered
    assert "<b>" not in rendered
    assert all("<script" not in path.read_text("utf-8") for path in built.glob("*.svg"))


def test_the_same_result_gives_the_same_bytes(built, tmp_path):
    make().save(tmp_path / "attention")
    build_pages(tmp_path)
    for path in built.iterdir():
        assert (tmp_path / "attention" / path.name).read_bytes() == path.read_bytes()


def test_answers_come_before_figures_and_the_method_last(built):
    page = (built / "report.md").read_text("utf-8")
    parts = ["heads in 3 stages", "**holds in part**", "heads.svg", "self_attention.svg",
             "prompt_1_04_attention.svg", "too long", "## How it was measured",
             "## How this page was made"]  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_a_stage_without_attention_alone_still_makes_a_page(tmp_path):
    whole = make()
    tables = {name: frame.iloc[:0] for name, frame in whole.tables.items()}
    tables["claims"] = whole.tables["claims"].assign(value=None, verdict="not measured")
    tables["applies"] = whole.tables["applies"]
    Result(name="attention", tables=tables, meta=whole.meta).save(tmp_path / "attention")
    build_pages(tmp_path)
    page = (tmp_path / "attention" / "report.md").read_text("utf-8")
    assert "None of the stages measured here has attention." in page
    assert "svg" not in page


def test_another_articles_model_has_nothing_that_the_ladders_article_claims(tmp_path):
    whole = make([("byte_gpt", 0, 0)])
    applies = [{"stage": "byte_gpt", "applies": True, "reason": None}]
    claims = claim_rows().assign(value=None, verdict="not measured")
    tables = {**whole.tables, "applies": pd.DataFrame(applies), "claims": claims}
    Result(name="attention", tables=tables, meta=meta(["byte_gpt"])).save(tmp_path / "attention")
    build_pages(tmp_path, family="numpy_gpt")
    page = (tmp_path / "attention" / "report.md").read_text("utf-8")
    assert "not measured" not in page
    assert "The article" not in page
    assert "computed by these rules" not in page
    assert "\n## Every head\n" in page


def test_summary_counts_the_kinds():
    assert text.summary_sentence(head_rows()) == (
        "Of 4 heads in 3 stages with attention, 1 gives the token itself half of the attention or "
        "more, 1 gives the token itself a fifth or more, 1 favours no single place but stays near, "
        "half within 8 tokens and 1 spreads further."
    )
    assert "4 spread further" in text.summary_sentence(head_rows(["spread"] * 4))


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"value": 0.7, "difference": 0.6, "q": 0.01}, "There is an induction head"),
        ({"value": 0.2, "difference": 0.1, "q": 0.01}, "A trace of induction"),
        ({"value": 0.7, "difference": 0.01, "q": 0.9}, "No induction head"),
        ({"value": 0.11, "difference": 0.01, "q": 0.01}, "No induction head"),
    ],
)
def test_induction_is_claimed_only_where_repetition_makes_it(change, begins):
    sentence = text.induction_sentence(repetition_rows(**change))
    assert sentence.startswith(begins)
    assert "08 + Depth L1 H0 (period 8: " in sentence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "of 4 heads 4 cannot be told apart."),
        ({"difference": 0.6, "value": 0.7, "q": 0.01},
         "1 read it more than another token in its place (the most 08 + Depth L1 H0, 70.0% and not "
         "10.0%) and 3 cannot be told apart."),
        ({"difference": -0.1, "value": 0.0, "q": 0.01}, "1 read it less than another token"),
    ],
)  # fmt: skip
def test_earlier_copies_are_sought_or_shunned(change, says):
    table = repetition_rows(**change)
    table["score"] = table["score"].map({"induction": "duplicate", "duplicate": "induction"})
    assert says in text.copies_sentence(table)


def test_repetition_table_marks_what_repetition_does_not_change():
    table = repetition_table(repetition_rows(value=0.7, q=0.01))
    assert table.splitlines()[-1].startswith("| 08 + Depth L1 H0 | 0.700 (0.100) | ≈ 0.100 (0.100)")


@pytest.mark.parametrize(
    ("short", "everywhere", "parts"),
    [
        ((-0.2, -0.3, -0.1), (0.1, 0.05, 0.15), ["falls in contexts", "but rises over", "not the"]),
        ((-0.2, -0.3, -0.1), (-0.1, -0.2, -0.05), ["falls in contexts", "and falls over"]),
        ((0.2, 0.1, 0.3), (0.0, -0.1, 0.1), ["rises in contexts", "does not measurably change"]),
    ],
)
def test_the_diagonals_sentence_turns_with_the_numbers(short, everywhere, parts):
    sentence = claims_text.broke_sentence(claim_rows(short, everywhere), BROKE)
    assert all(part in sentence for part in parts)
    assert ("not the other" in sentence) == ("but" in parts[1])
    assert f"{100 * short[0]:+.1f}".replace("-", "−") in sentence


def test_a_diagonal_that_is_still_the_largest_weight_is_said_to_be():
    rows = claim_rows((-0.2, -0.3, -0.1), (-0.1, -0.2, -0.05))
    largest = rows[rows["claim"] == BROKE].iloc[:1].assign(
        quantity="share of tokens whose largest weight is on themselves, 05 minus 04",
        where="stories", value=0.25, low=0.2, high=0.3,
    )  # fmt: skip
    said = claims_text.broke_sentence(pd.concat([rows, largest]), BROKE)
    assert "give no other more than themselves rises over whole rows (+25.0 points" in said
    falls = largest.assign(value=-0.25, low=-0.3, high=-0.2)
    assert "themselves rises" not in claims_text.broke_sentence(pd.concat([rows, falls]), BROKE)


def test_a_claims_sentence_gives_its_verdict_and_its_tally():
    sentence = claims_text.claim_sentence(claim_rows(), SELF)
    assert sentence.endswith("**holds in part**: of 4 measurements 3 agree and 1 does not.")
    assert claims_text.claim_sentence(claim_rows(), EXAMPLES).endswith("**not measured**.")


def test_streams_are_compared_only_where_both_kinds_were_measured():
    apart = score_rows()
    apart.loc[apart["stage"] == "08_two_blocks", "value"] = 0.05
    assert "do not overlap" in text.residual_sentence(apart)
    assert "The two overlap" in text.residual_sentence(score_rows())
    assert text.residual_sentence(score_rows(HEADS[:2])) == ""


def test_what_cannot_be_told_from_uniform_is_named():
    scores = score_rows(first={"q": 0.5})
    sentence = text.tested_sentence(scores)
    assert sentence.startswith("36 of 40 head scores differ")
    assert "08 + Depth L1 H0 (first)" in sentence
    assert text.tested_sentence(score_rows()).startswith("40 of 40")
    assert "≈ 0.300" in scores_table(scores)


def test_untrained_heads_are_near_uniform_or_not():
    assert "close to uniform" in text.untrained_sentence(score_rows())
    far = score_rows(previous={"untrained": 0.4})
    assert "30.0 points of attention from uniform already" in text.untrained_sentence(far)


def test_tables_hold_the_numbers():
    table = claims_table(claim_rows(), BROKE)
    assert "| −0.200 | −0.300 to −0.100 |" in table
    assert "overall" not in table
    assert len(scores_table(score_rows()).splitlines()) == 2 + len(HEADS) + 1
    assert "it has no attention" in absent_table(make().tables["applies"])
