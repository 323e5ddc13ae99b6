from __future__ import annotations

import pytest

from lt_interp.report.provenance import corpus_sentences, how_made


def test_embedded_stories_are_told_from_the_articles_split(evolution):
    said = corpus_sentences(evolution(["06_ffn"]).meta)
    assert "embedded stories** (660 stories, 628 rows of tokens)" in said
    assert "No model here is on record as trained on these stories." in said
    assert "**not** TinyStories' validation split" in said


def test_another_corpus_is_named_with_its_split(evolution):
    said = corpus_sentences(evolution(["06_ffn"], corpus="a<b>.txt").meta)
    assert "<code>a&lt;b&gt;.txt</code>**, its validation split" in said
    assert "embedded" not in said


def test_a_model_trained_on_what_is_measured_is_named(evolution):
    meta = evolution(["06_ffn", "07_block"]).meta
    meta["models"]["07_block"]["trained_on"]["name"] = "embedded"
    said = corpus_sentences(meta)
    assert "<code>07_block</code> trained on stories of this very corpus**" in said
    assert "06_ffn" not in said
    assert "No model here" not in said


def test_how_made_holds_what_repeats_the_page(evolution):
    made = how_made(evolution(["06_ffn", "07_block"]).meta)
    assert made["command"] == "<code>lt-interp report --corpus embedded</code>"
    assert "ab" * 32 in made["corpus"]
    assert made["seed"] == "7"
    assert made["versions"] == "lt-interp 0.1.0, torch 2.13.0"
    assert made["made_on"] == "2026-01-02"
    lines = made["checkpoints"].splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == [
        "<code>000000000000</code>", "<code>010101010101</code>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("notes", "written"),
    [
        ({"top_k": [1, 2], "why": "a|b"}, "- top k: &#91;1, 2&#93;\n- why: a&#124;b"),
        ("alone", "- alone"),
        (["one", "two"], "- one\n- two"),
        (None, ""),
    ],
)
def test_notes_of_any_form_become_a_list(evolution, notes, written):
    assert how_made({**evolution(["06_ffn"]).meta, "notes": notes})["notes"] == written


def test_what_is_not_on_record_of_a_model_in_memory_is_a_dash(evolution):
    meta = evolution(["06_ffn"]).meta
    card = meta["models"]["06_ffn"]
    nothing = dict.fromkeys(("seed", "recipe", "tokens_seen", "val_loss_nats"))
    meta["models"]["06_ffn"] = {**card, **nothing, "trained_on": dict.fromkeys(card["trained_on"])}
    line = how_made(meta)["checkpoints"].splitlines()[2]
    assert line.endswith("| – | – | – | – |")
    assert "No model here is on record as trained on these stories." in corpus_sentences(meta)


def test_a_converted_model_names_its_file_and_no_training(evolution):
    meta = evolution(["06_ffn", "07_block"]).meta
    card = meta["models"]["07_block"]
    nothing = dict.fromkeys(("seed", "recipe", "tokens_seen", "val_loss_nats"))
    file = {"file": "a|b.pt", "sha256": "cd" * 32}
    trained_on = dict.fromkeys(card["trained_on"])
    meta["models"]["07_block"] = {
        **card, **nothing, "converted_from": file, "trained_on": trained_on,
    }  # fmt: skip
    line = how_made(meta)["checkpoints"].splitlines()[3]
    file_text = "<code>a&#124;b.pt</code>, sha256 <code>cdcdcdcdcdcd</code>"
    assert line.endswith(f"| converted from {file_text} | – | – | – |")
    said = corpus_sentences(meta)
    assert "What <code>07_block</code> trained on is not on record" in said
    meta["models"]["06_ffn"]["trained_on"]["sha256"] = meta["corpus"]["sha256"]
    said = corpus_sentences(meta)
    assert "<code>06_ffn</code> trained on stories of this very corpus**" in said
    assert "What <code>07_block</code> trained on is not on record" in said
