"""The page holds the numbers of its result, whatever the result lacks."""

from __future__ import annotations

from lt_interp.methods.result import Result, make_table
from lt_interp.report.build import build_pages
from lt_interp.report.position_blindness import POSITION_BLINDNESS

DIFFERENCES = {
    "stage": str, "weights": str, "variant": str, "identical": bool, "expected_identical": bool,
    "same_top_token": bool, "reason": str,
}  # fmt: skip
STAGES = ["01_bag_of_words", "03b_trigram", "05_attn_position"]


def page(result, folder) -> str:
    result.save(folder / "position_blindness")
    build_pages(folder)
    return (folder / "position_blindness" / "report.md").read_text("utf-8")


def lines(text: str, section: str, stage: str) -> list[str]:
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith(f"| {stage} |")]


def test_every_section_has_its_numbers(blindness, tmp_path):
    text = page(blindness(STAGES), tmp_path)
    trained, untrained = lines(text, "The ladder", "05 + Position")
    assert "| order-sensitive | yes | 60.0% (50.0% to 70.0%) |" in trained
    assert "30.0% (20.0% to 40.0%)" in untrained
    shuffled, _ = lines(text, "Shuffled prefixes", "05 + Position")
    assert "| 11.0 | 0.002 | 0.9 (0.81 to 1.1) | 1.5 (1.4 to 1.7) |" in shuffled
    assert "| 40.0% (35.0% to 45.0%) | +0.800 (+0.700 to +0.900) |" in shuffled
    assert lines(text, "Swapped neighbours", "03b Trigram") == [
        "| 03b Trigram | 0.08 (0.064 to 0.1) | rounding | rounding | rounding |"
    ]
    assert not lines(text, "Swapped neighbours", "01 Bag of words")
    assert "| prefixes | 199 | 198 | 192 | 152 |" in text


def test_headline_is_the_verdicts(blindness):
    assert POSITION_BLINDNESS.headline(blindness(STAGES)).startswith("Blind by construction: **01")


def test_page_without_a_stage_that_sees_order_has_no_panels(blindness, tmp_path):
    result = blindness(["01_bag_of_words", "04_attention"])
    assert "distance.svg" not in POSITION_BLINDNESS.drawings(result)
    assert "distance.svg" not in page(result, tmp_path)


def test_stage_that_could_not_read_the_pair_says_why(blindness, tmp_path):
    tables = blindness(["05_attn_position"]).tables
    unread = make_table(
        DIFFERENCES,
        [{"stage": "05_attn_position", "weights": "trained", "variant": "as printed",
          "reason": "it has | no tokenizer"}],
    )  # fmt: skip
    tables = {**tables, "differences": unread, "predictions": tables["predictions"].iloc[:0]}
    meta = blindness(["05_attn_position"]).meta
    result = Result(name="position_blindness", tables=tables, meta=meta)
    assert not [name for name in POSITION_BLINDNESS.drawings(result) if "difference" in name]
    text = page(result, tmp_path)
    assert "**05 + Position** was not asked: it has &#124; no tokenizer." in text
    assert "### The pair" not in text


def test_open_intervals_are_left_out(blindness, tmp_path):
    result = blindness(STAGES)
    for table in (result.tables["permutations"], result.tables["swaps"]):
        for column in table.columns:
            if column.endswith(("low", "high")):
                table[column] = float("nan")
    shuffled, _ = lines(page(result, tmp_path), "Shuffled prefixes", "05 + Position")
    assert "| 0.9 | 1.5 | 40.0% | +0.800 |" in shuffled
