"""The article's page says what its tables say, and the opposite when they do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lt_interp.methods.result import Result
from lt_interp.report import article_text as text
from lt_interp.report.article import ARTICLE_PAGE
from lt_interp.report.article_tables import ngrams_table, value_text
from lt_interp.report.build import build_pages

from .conftest import HOSTILE, meta

STAGES = ("03_bigram", "04_attention", "05_attn_position")


def claims(**verdicts: int) -> pd.DataFrame:
    """So many claims of each verdict."""
    rows = [
        {
            "claim": f"{verdict} {n}", "quote": HOSTILE, "measurement": "m", "rule": "r",
            "value": None if "testable" in verdict else -0.25, "low": None, "high": None,
            "unit": "nats a token", "n": 7, "n_of": "stories", "verdict": verdict.replace("_", " "),
            "reason": HOSTILE,
        }
        for verdict, count in verdicts.items() for n in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def gains(**differences: float) -> pd.DataFrame:
    """One pair of stages; certain wherever the difference is at least 0.1."""
    rows = [
        {
            "stage": "04_attention", "previous": "03_bigram",
            "by": "all tokens" if name == "all" else "token class", "class": name,
            "difference_nats": value, "low": value - 0.05, "high": value + 0.05,
            "p": 0.001 if abs(value) >= 0.1 else 0.5, "q": 0.002 if abs(value) >= 0.1 else 0.6,
            "n_tokens": 100, "n_stories": 10,
        }
        for name, value in differences.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def predictions(girl: float, boy: float) -> pd.DataFrame:
    rows = [
        ("03b_trigram", text.GIRL, " Lily", girl, 0.57, 1, None),
        ("03b_trigram", text.GIRL, " Tim", 0.3, None, 2, None),
        ("03b_trigram", text.BOY, " Lily", 0.3, None, 2, None),
        ("03b_trigram", text.BOY, " Tim", boy, 0.595, 1, None),
        ("03_bigram", "Once", " upon", None, None, None, HOSTILE),
    ]
    columns = ["stage", "prompt", "token", "probability", "article_probability", "rank", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"rank": "Int64"})


def test_a_remark_stands_only_where_a_figure_is_missing() -> None:
    table = predictions(0.4, 0.5)
    assert "remark" in ngrams_table(table).splitlines()[0]
    whole = ngrams_table(table[table["reason"].isna()])
    assert "remark" not in whole
    assert len({line.count("|") for line in whole.splitlines()}) == 1


def response(*values: float) -> pd.DataFrame:
    return pd.DataFrame({
        "stage": STAGES, "own_nats": 3.0, "other_nats": [3.0 + v for v in values],
        "benefit_nats": values, "low": [v - 0.01 for v in values],
        "high": [v + 0.01 for v in values], "n_tokens": 320, "n_stories": 10,
    })  # fmt: skip


def experts(share: float) -> pd.DataFrame:
    row = {"stage": "10_moe", "word": "sorry", "article_share": 1.0, "share": share,
           "checkpoint": "10_moe-seed1",
           "low": share - 0.1, "high": min(share + 0.1, 1.0), "load": 0.5, "n_decisions": 50,
           "n_stories": 9, "reason": None}  # fmt: skip
    unknown = {"share": None, "low": None, "high": None, "load": None, "n_decisions": None,
               "n_stories": None, "reason": HOSTILE}  # fmt: skip
    return pd.DataFrame([row, {**row, "word": "|", **unknown}]).astype({"n_decisions": "Int64"})


def make_result() -> Result:
    evolution = pd.DataFrame({
        "stage": STAGES, "adds": ["a", "b|c", "d"], "article_perplexity": [35.8, 25.0, 17.7],
        "perplexity": [42.0, 24.0, None], "low": [41.0, 23.0, None], "high": [43.0, 25.0, None],
        "scored_on": "every position", "article_sample": HOSTILE, "sample": HOSTILE,
        "reason": [None, None, "not measured: why"],
    })  # fmt: skip
    parameters = pd.DataFrame({
        "stage": STAGES, "article_parameters": [1, 2, None], "parameters": [1, 3, 4],
    }).astype({"article_parameters": "Int64"})  # fmt: skip
    stability = pd.DataFrame([{
        "stage": "04_attention", "previous": "03_bigram", "measure": "roughness", "value": 0.1,
        "previous_value": 0.2, "difference": -0.1, "low": -0.2, "high": -0.05, "unit": "nats",
        "n_steps": 20,
    }])  # fmt: skip
    seeds = pd.DataFrame([{"stage": "10_moe", "n_seeds": 3, "lowest_loss_nats": 2.0,
                           "highest_loss_nats": 2.25, "spread_nats": 0.25}])  # fmt: skip
    tables = {
        "claims": claims(holds=2, holds_in_part=1, does_not_hold=1, not_testable_here=1),
        "class_gains": gains(all=-0.2, name=-0.5, verb=0.15, noun=0.01),
        "evolution": evolution, "parameters": parameters, "experts": experts(0.9),
        "ngram_predictions": predictions(0.5, 0.5), "response": response(0.0, 0.05, 0.1),
        "stability": stability, "seeds": seeds,
        "settings": pd.DataFrame({"stage": STAGES, "tokens_seen": [100_000_000, 2e8, 2e8]}),
    }  # fmt: skip
    return Result(name="article", tables=tables, meta=meta(STAGES))


def test_page_from_a_saved_result_twice_the_same_bytes(tmp_path: Path) -> None:
    make_result().save(tmp_path / "article")
    build_pages(tmp_path)
    files = {p.name: p.read_bytes() for p in sorted((tmp_path / "article").iterdir())}
    build_pages(tmp_path)
    assert files == {p.name: p.read_bytes() for p in sorted((tmp_path / "article").iterdir())}
    page = files["report.md"].decode()
    assert "<script>" not in page
    for name in ("gains_by_class.svg", "prompt.svg", "experts.svg"):
        assert f"({name})" in page
        assert name in files
    assert "gains_by_position.svg" not in page  # nothing of it was measured
    assert "2 hold, 1 hold in part and 1 do not hold; 1 could not be tested" in page
    assert "**04 + Attention** read 200.0 M tokens, **03 Bigram** 100.0 M." in page
    assert (tmp_path / "index.md").read_text().count("2 hold, 1 hold in part") == 1


def test_page_without_other_results_and_pairs(tmp_path: Path) -> None:
    result = make_result()
    tables = dict(result.tables)
    for name in ("class_gains", "ngram_predictions", "response", "experts", "stability", "seeds"):
        tables[name] = tables[name].iloc[:0]
    tables["evolution"] = tables["evolution"].assign(perplexity=float("nan"), reason="not measured")
    Result(name="article", tables=tables, meta=meta(STAGES[:1])).save(tmp_path / "article")
    build_pages(tmp_path)
    page = (tmp_path / "article" / "report.md").read_text()
    assert ".svg" not in page
    assert "No two neighbouring stages were measured" in page
    assert "Our side of this table is not measured." in page


def test_tally_counts() -> None:
    assert text.tally_sentence(claims(holds=3, does_not_hold=2)) == (
        "Of 5 measurements of what the article says, 3 hold, 0 hold in part and 2 do not hold."
    )
    sentences = text.verdict_sentences(claims(holds=1, not_testable_here=2))
    assert [sentence.split(" (")[0] for sentence in sentences] == [
        "**Holds**", "**Not testable here**",
    ]  # fmt: skip


def test_gain_sentences_turn() -> None:
    (better,) = text.gain_sentences(gains(all=-0.2, name=-0.5, verb=-0.15, noun=0.01))
    assert "better on 2 of 3 classes, most on names (−0.500" in better
    assert better.endswith("worse on none.")
    (worse,) = text.gain_sentences(gains(all=0.2, name=0.5, verb=0.01, noun=0.02))
    assert "better on none" in worse
    assert "worse on 1 of 3 classes, on names (+0.500" in worse


def test_certain_sentence_counts_both_sides() -> None:
    sentence = text.certain_sentence(gains(all=-0.2, name=0.5, verb=0.01))
    assert "Of 3 comparisons 2 differ" in sentence
    assert "1 are better with the part, 1 are worse" in sentence


def test_response_sentence_turns() -> None:
    some = text.response_sentence(response(0.0, 0.05, 0.1))
    assert "2 of 3 stages" in some
    assert "most of all **05 + Position**" in some
    assert "No stage gains" in text.response_sentence(response(0.0, 0.0, -0.1))
    assert "No story was long enough" in text.response_sentence(response(0, 0, 0).iloc[:0])


def test_ngram_sentence_turns() -> None:
    tells = text.ngram_sentence(predictions(0.5, 0.6))
    assert "Lily 50.0% for the girl, Tim 60.0% for the boy" in tells
    assert "None of 1 n-grams" in text.ngram_sentence(predictions(0.5, 0.1))
    assert "No n-gram here" in text.ngram_sentence(predictions(0.5, 0.5).iloc[:0])


def test_window_and_evolution_sentences_hold_both_figures() -> None:
    evolution = make_result().tables["evolution"]
    assert "the article 35.8, here 42.00" in text.window_sentence(evolution)
    assert "1 of 2 stages have a lower perplexity" in text.evolution_sentence(evolution)
    worse = evolution.assign(perplexity=[42.0, 26.0, None])
    assert "0 of 2 stages" in text.evolution_sentence(worse)
    assert text.window_sentence(evolution.iloc[1:]) == "No n-gram was measured."


@pytest.mark.parametrize(("share", "over", "more"), [(0.9, 1, 1), (0.7, 0, 1), (0.5, 0, 0)])
def test_experts_sentence_turns(share: float, over: int, more: int) -> None:
    sentence = text.experts_sentence(experts(share), ["10_moe"])
    assert f"{over} of 1 words go to that expert more than 80% of the time" in sentence
    assert f"and {more} more often than all decisions do" in sentence


def test_training_and_seeds_sentences_turn() -> None:
    less = meta(STAGES)
    assert "may still have held there" in text.training_sentence(less)
    more = {"models": {"a": {"tokens_seen": 500_000_000}}}
    assert "no fewer than" in text.training_sentence(more)
    assert "not on record" in text.training_sentence({"models": {"a": {"tokens_seen": None}}})
    both = {"models": {**more["models"], "b": {"tokens_seen": 9_194_280}}}
    assert text.training_sentence(both).startswith("The stages here saw 9.2 M to 500.0 M tokens")
    some = {"models": {**less["models"], "theirs": {"tokens_seen": None}}}
    assert text.training_sentence(some).startswith("The stages here whose training is on record")
    assert "one run of each stage" in text.seeds_sentence(make_result().tables["seeds"].iloc[:0])
    assert "by 0.250 nats (3 seeds)" in text.seeds_sentence(make_result().tables["seeds"])


def test_value_of_a_claim_carries_its_unit() -> None:
    row = {"value": -0.25, "low": -0.3, "high": -0.2, "unit": "nats a token", "n": 7,
           "n_of": "stories"}  # fmt: skip
    assert "−0.250" in value_text(row)
    assert "(7 stories)" in value_text(row)
    share = {**row, "value": 0.5, "low": None, "high": None, "unit": "share of words"}
    assert value_text(share).startswith("50.0% share of words")
    assert value_text({**row, "value": None}) == "–"


def test_headline_is_one_sentence() -> None:
    assert ARTICLE_PAGE.headline(make_result()).count(". ") == 0
