"""What each command prints, against the library asked directly."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lt_interp as lt
from lt_interp.article import article
from lt_interp.cli.choices import chosen_stages
from lt_interp.cli.report import _families
from lt_interp.corpus.coverage import measure_coverage
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.corpus.windows import open_rows
from lt_interp.model.hook_table import hook_table
from lt_interp.stages import FAMILIES, STAGES, get_stage, stages_with_hook
from lt_interp.training.run_folder import read_card, shipped_checkpoints


def document(result: Any) -> Any:
    """The one JSON document that is all of standard output."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_stages_as_json_has_the_ladder_in_order_and_the_articles_counts(
    run: Any, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lt_interp.methods.ladder.shipped_checkpoints", lambda: [])
    rows = document(run("stages", "--json"))
    assert [row["id"] for row in rows] == list(STAGES)
    keys = ["id", "family", "adds", "parameters", "tokens_seen", "perplexity", "article_perplexity"]
    assert [list(row) for row in rows] == [keys] * len(rows)
    counted = {row["id"]: row["parameters"] for row in rows}
    assert {s["id"]: s["params"] for s in article()["stages"]}.items() <= counted.items()
    assert counted["byte_gpt"] == 222_784
    assert [row["family"] for row in rows] == [stage.family for stage in STAGES.values()]
    assert {row["perplexity"] for row in rows} == {None}


def test_stages_as_a_table_keeps_every_word(run: Any) -> None:
    result = run("stages")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for stage in STAGES.values():
        line = next(line for line in lines if line.startswith(f"{stage.id} "))
        assert re.search(rf" {stage.family} .*{re.escape(stage.adds)}", line)


def test_params_as_json_states_both_counts_and_their_difference(run: Any, runs: Path) -> None:
    found = document(run("params", "gpt_learned", "--json"))
    lines = {line["component"]: line for line in found["components"]}
    assert (found["id"], found["family"]) == ("gpt_learned", "four_layer_gpt")
    total = lines["total"]
    assert (total["parameters"], total["article_parameters"]) == (5_846_528, 5_841_408)
    assert total["difference"] == 4 * lines["feed-forward biases"]["difference"] == 5_120
    # a checkpoint's folder is counted as it is, with its own vocabulary
    own = document(run("params", runs / "04_attention", "--json"))["components"][-1]
    n_weights = sum(p.numel() for p in lt.load(runs / "04_attention").parameters())
    assert (own["component"], own["parameters"]) == ("total", n_weights)


def test_params_as_a_table_has_the_formulas_and_the_articles_column_if_it_has_one(run: Any) -> None:
    lines = run("params", "byte_gpt").stdout.splitlines()
    assert re.search(r"feed-forward .*3 × d_model × d_mlp +3 × 64 × 172 +33,024 +33,024", lines[5])
    assert "article's" not in run("params", "char_gpt").stdout


def test_hooks_lists_the_table_of_the_stage_as_it_is(run: Any, runs: Path) -> None:
    result = run("hooks", "10_moe")
    lines = result.stdout.splitlines()[2:]
    for line, hook in zip(lines, hook_table(get_stage("10_moe").config), strict=True):
        cells = [cell.strip() for cell in re.split(r" {2,}", line.strip())]
        ids = stages_with_hook(hook.name)
        where = "all" if len(ids) == len(STAGES) else ", ".join(ids)
        assert cells == [hook.name, hook.shape, hook.meaning, hook.opt_in or "always", where]
    assert run("hooks", runs / "04_attention").stdout == run("hooks", "04_attention").stdout
    assert run("hooks", "10_moe-seed1").stdout == run("hooks", "10_moe").stdout


def test_evaluate_as_json_agrees_with_the_model_asked_row_by_row(
    run: Any, runs: Path, stories_file: Path
) -> None:
    words = ["evaluate", runs / "04_attention", runs / "03_bigram", "--corpus", stories_file]
    found = document(run(*words, "--json", "--seed", "3"))
    assert [entry["id"] for entry in found] == ["03_bigram", "04_attention"]
    model = lt.load(runs / "03_bigram")
    ids = [
        i for story in open_corpus(stories_file).stories()
        for i in [*model.tokenizer.encode(story), model.tokenizer.eos_id]
    ]  # fmt: skip
    n_rows = len(ids) // 256
    rows = torch.tensor(ids[: n_rows * 256]).reshape(n_rows, 256)
    with torch.no_grad():
        losses = model(rows, return_type="loss", loss_per_token=True).double()
    first = found[0]
    assert first["n_tokens"] == n_rows * 255
    assert first["loss_nats"] == pytest.approx(losses.mean().item(), rel=1e-5)
    assert first["perplexity"] == pytest.approx(math.exp(first["loss_nats"]))
    last = losses[:, -1].mean().exp().item()
    assert first["perplexity_last_token"] == pytest.approx(last, rel=1e-5)
    low, high = first["perplexity_interval"]
    assert low < first["perplexity"] < high
    assert 0 < first["n_stories"] <= 60


def test_evaluate_all_scores_what_is_shipped(
    run: Any, runs: Path, stories_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lt_interp.training.run_folder.trained_folder", lambda: runs)
    result = run("evaluate", "--all", "--corpus", stories_file)
    names = [line.split()[0] for line in result.stdout.splitlines()[2:]]
    assert names == ["03_bigram", "04_attention"]
    assert "stories.txt (all): 60 stories" in result.stderr


def test_evaluate_scores_the_validation_split_of_a_folder(
    run: Any, runs: Path, stories_file: Path, tmp_path: Path
) -> None:
    text = stories_file.read_text(encoding="utf-8")
    (tmp_path / "validation.txt").write_text(text, encoding="utf-8")
    (tmp_path / "train.txt").write_text("Another story.", encoding="utf-8")
    words = ["evaluate", runs / "03_bigram", "--json", "--corpus"]
    assert run(*words, tmp_path).stdout == run(*words, stories_file).stdout


def test_a_part_of_a_single_file_is_said_to_be_one(
    run: Any, runs: Path, stories_file: Path
) -> None:
    words = ["--corpus", stories_file, "--split", "validation"]
    n = open_corpus(stories_file, split="validation").n_stories
    for command in (["evaluate", runs / "03_bigram"], ["tokenizer", "coverage"]):
        said = " ".join(run(*command, *words).stderr.split())
        assert "chosen by the SHA-256 of the story, the same ones every time" in said
        assert f"{n} stories to validate on" in said


def test_json_is_alone_on_standard_output_of_a_process(
    process: Any, runs: Path, stories_file: Path
) -> None:
    done = process("evaluate", runs / "03_bigram", "--corpus", stories_file, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1
    assert done.stderr == "stories.txt (all): 60 stories\n"


PROMPT = "Tom [bold]saw[/bold] :smile: a ☃"


def test_generate_prints_the_prompt_as_typed_and_what_the_model_adds(run: Any, runs: Path) -> None:
    words = ["generate", runs / "04_attention", PROMPT, "--max-new-tokens", "12"]
    result = run(*words, "--temperature", "0.7", "--top-k", "9", "--top-p", "0.95", "--seed", "5")
    model = lt.load(runs / "04_attention")
    tokens = model.generate(
        model.to_tokens(PROMPT), 12, temperature=0.7, top_k=9, top_p=0.95, seed=5
    )
    new = tokens[0, len(PROMPT) :].tolist()
    added = model.tokenizer.decode(i for i in new if i != model.tokenizer.eos_id)
    assert result.exit_code == 0
    assert result.stdout == f"{PROMPT}{added}\n"
    assert "tokens are unknown to the model" in result.stderr  # the snowman, at least
    assert run(*words, "--seed", "5").stdout == run(*words, "--seed", "5").stdout
    assert len({run(*words, "--seed", seed).stdout for seed in range(3)}) > 1


def test_generate_nothing_gives_the_prompt_back(run: Any, runs: Path) -> None:
    assert run("generate", runs / "03_bigram", "Tom", "--max-new-tokens", "0").stdout == "Tom\n"


def test_xray_prints_one_document_or_the_tables_and_writes_a_page(
    run: Any, runs: Path, tmp_path: Path
) -> None:
    words = ["xray", "Tom saw", "--stage", runs / "04_attention"]
    found = document(run(*words, "--json", "--pos", "2", "--seed", "7"))
    model = lt.load(runs / "04_attention")
    _, cache = model.run_with_cache("Tom saw")
    steps = {step["hook"]: step for step in found["steps"]}
    for name in cache:
        assert steps[name]["shape"] == " × ".join(map(str, cache[name].shape[1:]))
    values = cache["blocks.0.attn.hook_v"][0, 2]
    assert steps["blocks.0.attn.hook_v"]["norm"] == pytest.approx(float(values.norm()), rel=1e-6)
    assert (found["pos"], found["seed"], found["stage"]) == (2, 7, "04_attention")
    page = tmp_path / "page.md"
    result = run(*words, "--out", page)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    for name in cache:
        assert f" {name} " in result.stdout
        assert name in text
    assert result.stdout.splitlines()[-1] in re.sub("</?code>", "", text)
    assert "X-ray of <code>Tom saw</code> in <code>04_attention</code>" in text


def test_tokenizer_build_counts_a_file_whole_and_a_folder_by_its_training_split(
    run: Any, stories_file: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "train.txt").write_bytes(stories_file.read_bytes())
    (corpus / "validation.txt").write_text("Zebra zoo.", encoding="utf-8")
    for spec, out in ((stories_file, tmp_path / "a"), (corpus, tmp_path / "b")):
        words = ["tokenizer", "build", "--corpus", spec, "--vocab-size", "300", "--out", out]
        assert run(*words).exit_code == 0
    one, other = load_tokenizer(tmp_path / "a"), load_tokenizer(tmp_path / "b")
    assert (one.kind, one.d_vocab, one.sha256) == ("gpt2-compact", 300, other.sha256)
    assert one.decode(one.encode("Once upon a time")) == "Once upon a time"


def test_tokenizer_coverage_sets_the_articles_figures_beside_ours(
    run: Any, stories_file: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "new" / "coverage.svg"
    words = ["tokenizer", "coverage", "--corpus", stories_file]
    found = document(run(*words, "--json", "--plot", plot))
    ours = measure_coverage(open_corpus(stories_file).stories())
    published = article()["tokenizer"]
    for row, wanted in zip(found["by_top_n"], ours.by_top_n(), strict=True):
        theirs = published["coverage_percent_by_top_n"][str(row["top_n"])]
        assert row == {**wanted, "article_coverage_percent": theirs}
    for row, wanted in zip(found["tokens_needed"], ours.tokens_needed(), strict=True):
        theirs = published["tokens_needed_for_coverage"][str(row["share"])]
        assert row == {**wanted, "article_n_tokens_needed": theirs}
    assert (found["corpus"], found["split"], found["n_tokens"]) == (
        "stories.txt", "all", ours.n_tokens,
    )  # fmt: skip
    assert plot.read_text(encoding="utf-8").startswith("<?xml")
    assert "4,496" in run(*words).stdout


def test_a_card_says_what_the_train_command_was_asked(
    runs: Path, stories_file: Path, characters: Path
) -> None:
    card = read_card(runs / "04_attention")
    assert (card["stage"], card["recipe"], card["seed"]) == ("04_attention", "ladder", 0)
    assert card["identity"]["recipe"]["epochs"] == 1
    assert card["tokenizer"]["sha256"] == load_tokenizer(characters).sha256
    splits = [open_corpus(stories_file, split=split) for split in ("train", "validation")]
    assert [card[key]["sha256"] for key in ("corpus", "validation")] == [s.sha256 for s in splits]


def test_whole_families_are_chosen_in_their_order() -> None:
    for asked, family in (({"all_": True}, "ladder"), *(
        ({"all_": False, "family": name}, name) for name in FAMILIES
    )):  # fmt: skip
        assert [stage.id for stage in chosen_stages(None, **asked)] == list(FAMILIES[family])
    shipped = [name for name in FAMILIES if shipped_checkpoints(family=name)]
    assert set(_families(None, None)) == set(shipped)
    assert _families(None, None)[-1] == "ladder"  # its front page links to the others
    assert _families("numpy_gpt", None) == ["numpy_gpt"]


def test_a_shorter_context_is_read_in_shorter_rows(
    run: Any, runs: Path, stories_file: Path
) -> None:
    words = ["evaluate", runs / "04_attention", "--corpus", stories_file, "--json"]
    model = lt.load(runs / "04_attention")
    for width in (7, model.cfg.n_ctx):
        (row,) = document(run(*words, "--context", width))
        rows = open_rows(open_corpus(str(stories_file)), model.tokenizer, width=width)
        assert row["n_tokens"] == rows.n_rows * (width - 1)
