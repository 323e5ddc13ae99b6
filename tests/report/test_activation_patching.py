"""The page says what the tables say, and the opposite when they say the opposite."""

from __future__ import annotations

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from lt_interp.methods.result import Result
from lt_interp.report import patching_text as text
from lt_interp.report.build import build_pages

STAGE = "09_multi_head"


def cell(component: str, layer: int | None, role: str, recovery: float, **more) -> dict:
    return {
        "checkpoint": STAGE, "stage": STAGE, "train_seed": 0, "direction": "denoising",
        "component": component, "layer": layer, "head": None, "position_role": role,
        "recovery": recovery, "low": recovery - 0.1, "high": recovery + 0.1, "kl_nats": 0.5,
        "donor_recovery": 0.05, "template_low": 0.0, "template_high": 1.0, "q": 0.001,
        "n_pairs": 9, **more,
    }  # fmt: skip


def expert(patched: str, direction: str, recovery: float, changed: float) -> dict:
    return {
        "checkpoint": "10_moe", "stage": "10_moe", "train_seed": 0, "direction": direction,
        "patched": patched, "layer": 1, "expert": None, "position_role": "last",
        "recovery": recovery, "low": recovery - 0.01, "high": recovery + 0.01, "kl_nats": 0.1,
        "donor_recovery": 0.0, "donor_low": -0.01, "donor_high": 0.01,
        "share_changed": changed, "q": 0.2, "n_pairs": 9,
    }  # fmt: skip


def frame(rows: list[dict], *integers: str) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(dict.fromkeys(integers, "Int64"))


@pytest.fixture
def result(evolution, hostile) -> Result:
    cells = [
        cell("resid_pre", 1, "differing", 0.4), cell("resid_pre", 1, "last", 0.55),
        cell("attn_out", 0, "last", 0.55), cell("attn_out", 0, "last", 0.44, direction="noising"),
        cell("attn_out", 1, "last", 0.45), cell("attn_out", 1, "last", 0.3, direction="noising"),
        cell("z", 0, "all", 0.2, head=0), cell("z", 0, "all", 0.41, head=1),
        cell("v", 0, "all", 0.4, head=1), cell("pattern", 0, "all", 0.02, head=1),
    ]  # fmt: skip
    accuracy = [
        {"checkpoint": stage, "stage": stage, "train_seed": 0, "n_pairs": 200,
         "share_right": share, "low": share - 0.05, "high": min(1.0, share + 0.05),
         "untrained_share_right": 0.48, "untrained_low": 0.41, "untrained_high": 0.55,
         "clean_nats": 2.0, "corrupt_nats": -2.0, "kept": 150}
        for stage, share in (("03_bigram", 0.52), (STAGE, 1.0), ("10_moe", 0.3))
    ]  # fmt: skip
    ranked = [
        {"rank": n, **{k: v for k, v in row.items() if k not in ("direction", "kl_nats")},
         "noising_recovery": 0.5}
        for n, row in enumerate((cells[2], cells[7]), start=1)
    ]  # fmt: skip
    pairs = [{
        "pair": 0, "template": "t", "kind": "names", "clean": hostile, "corrupt": "a |b",
        "clean_answer": " Lily", "corrupt_answer": " Tim", "n_tokens": 5, "n_differing": 1,
        "unusable": None,
    }]  # fmt: skip
    examples = [{
        "checkpoint": STAGE, "stage": STAGE, "train_seed": 0, "template": "t",
        "direction": "denoising", "component": "resid_pre", "layer": 0, "position": 3,
        "position_role": "last", "clean_token": "\n", "corrupt_token": "\n", "recovery": 0.5,
        "n_pairs": 9,
    }]  # fmt: skip
    applies = [
        {"checkpoint": "03_bigram", "stage": "03_bigram", "train_seed": 0, "applies": False,
         "reason": "it is deaf"},
    ]  # fmt: skip
    experts = [
        expert("the clean choice", "denoising", 0.002, 0.25),
        expert("the other expert", "noising", 0.96, 1.0),
    ]
    tables = {
        "pairs": frame(pairs), "clean_accuracy": frame(accuracy),
        "cells": frame(cells, "layer", "head"),
        "by_template": pd.DataFrame({"stage": [STAGE], "template": ["t"], "kind": ["names"]}),
        "important": frame(ranked, "layer", "head"), "examples": frame(examples),
        "experts": frame(experts, "expert"), "applies": frame(applies),
    }  # fmt: skip
    return Result(name="activation_patching", tables=tables, meta=evolution([STAGE]).meta)


def test_who_guesses_and_who_knows(result):
    chosen = text.accuracy_sentence(result.tables["clean_accuracy"])
    assert "by **09 + Multi-head**, whose own share says nothing" in chosen
    assert "Right more often" not in chosen
    result.tables["clean_accuracy"]["stage"] = ["03_bigram", "08_two_blocks", "10_moe"]
    said = text.accuracy_sentence(result.tables["clean_accuracy"])
    assert "chosen" not in said
    assert "Right more often than guessing: **08 + Depth** (100.0% of 200)." in said
    assert "Not distinguishable from guessing: **03 Bigram** (52.0% of 200)." in said
    assert "Wrong more often than right: **10 + MoE** (30.0% of 200)." in said
    assert "Untrained, stages are right in 48.0%." in said


def test_the_path_is_told_with_its_numbers(result):
    said = text.path_sentence(result)
    assert "the swapped word carries 40.0% of the difference and the last position 55.0%" in said
    assert "layer 0 55.0% (95% interval 45.0% to 65.0%) and layer 1 45.0%" in said
    result.tables["cells"] = result.tables["cells"].iloc[:0]
    assert "nothing was patched" in text.path_sentence(result)


def test_the_strongest_head_is_named_beside_its_donor(result):
    said = text.head_sentence(result)
    assert "**09 + Multi-head** L0 H1 41.0% (95% interval 31.0% to 51.0%), wrong donor 5.0%" in said
    result.tables["clean_accuracy"]["kept"] = 99  # of 200 pairs
    assert text.head_sentence(result) == ""
    assert text.reading_sentence(result) == ""


def test_a_stage_patched_on_few_pairs_is_not_spoken_of(result):
    result.tables["clean_accuracy"]["kept"] = 99  # of 200 pairs
    for said in (text.path_sentence(result), text.headline(result)):
        assert said.startswith("No stage measured here tells the prompts of half of the pairs")


def test_what_is_read_and_where_turn_with_the_numbers(result):
    assert (
        "values carry more than the strongest pattern on **09 + Multi-head** (40.0% and 2.0%)"
        in (text.reading_sentence(result))
    )
    cells = result.tables["cells"]
    pattern = cells["component"] == "pattern"
    cells.loc[pattern, ["recovery", "low", "high"]] = [-0.7, -0.8, -0.6]
    assert "so it is where is read on **09 + Multi-head** (40.0% and 70.0%)" in (
        text.reading_sentence(result)
    )
    cells.loc[pattern, "high"] = -0.1  # its size may be as small as a tenth
    assert "not told apart on **09 + Multi-head** (40.0% and 70.0%)" in (
        text.reading_sentence(result)
    )


def test_directions_agree_or_the_widest_gap_is_named(result):
    said = text.direction_sentence(result)
    assert "most for L1 attn_out, last of 09_multi_head: 45.0% restored, 70.0% lost" in said
    cells = result.tables["cells"]
    cells.loc[(cells["direction"] == "noising") & (cells["layer"] == 1), "recovery"] = 0.55
    assert "differ by 1.0% of the difference at most, over 2 cells" in text.direction_sentence(
        result
    )


def test_the_routers_choice_carries_nothing_or_a_part(result):
    experts = result.tables["experts"]
    (said,) = text.expert_sentences(experts)
    assert "carries nothing of note" in said
    assert "leaves 96.0% of the difference even where it matters most" in said
    experts["recovery"] = [0.3, 0.5]
    experts["low"], experts["high"] = [0.2, 0.4], [0.4, 0.6]
    (said,) = text.expert_sentences(experts)
    assert "carries no more than that of a wrong donor can" in said
    experts["q"] = 0.01
    (said,) = text.expert_sentences(experts)
    assert (
        "carries a part, more than that of a wrong donor. Where giving the corrupt run the" in said
    )
    assert "costs most in layer 1, at the last position: 50.0% of the difference is left" in said
    experts["share_changed"] = 0.0
    assert "so it cannot carry the answer" in text.expert_sentences(experts)[0]


def test_the_headline_names_the_strongest_part_or_says_there_is_none(result):
    assert (
        "of its parts, the output of attention in layer 0 at the last position carries most on its "
        "own: 55.0%" in text.headline(result)
    )
    result.tables["important"]["component"] = "pattern"
    assert "of its parts, L0 pattern, last carries most" in text.headline(result)
    result.tables["important"] = result.tables["important"].iloc[:0]
    assert "no single part of it carries the answer better than a wrong donor" in (
        text.headline(result)
    )


def test_the_page_is_whole_and_inert_and_the_same_every_time(result, tmp_path, hostile):
    result.save(tmp_path / "activation_patching")
    build_pages(tmp_path)
    folder = tmp_path / "activation_patching"
    page = (folder / "report.md").read_text("utf-8")
    links = [
        child.attrGet("src")
        for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page)
        for child in token.children or ()
        if child.type == "image"
    ]
    assert set(links) == {path.name for path in folder.glob("*.svg")}
    assert len(links) == 5
    assert "<script" not in MarkdownIt("gfm-like", {"linkify": False}).render(page)
    assert "| 03 Bigram | it is deaf |" in page
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    build_pages(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_result_in_which_nothing_could_be_asked_makes_a_page(result, tmp_path):
    for name in ("clean_accuracy", "cells", "important", "examples", "experts", "by_template"):
        result.tables[name] = result.tables[name].iloc[:0]
    result.save(tmp_path / "activation_patching")
    build_pages(tmp_path)
    page = (tmp_path / "activation_patching" / "report.md").read_text("utf-8")
    assert "No stage measured here can be asked any of the prompts." in page
    assert ".svg" not in page
