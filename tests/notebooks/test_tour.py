"""The tour runs, what it shows is true, and the file holds what this source shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode

import lt_interp as lt

TOUR = Path(__file__).parents[2] / "notebooks" / "tour.ipynb"
MOST_BYTES = 500_000
MOST_CELLS = 40
TAG = re.compile(r"<[^>]*>")

# Runs after the last cell, in the same kernel: each line compares what a cell found with another
# way to find it.
CHECKS = """
from transformer_lens import patching

model_of_tour, tokens_of_tour = lt.load("09_multi_head"), model.to_tokens(text)
assert guesses[-1] == model.to_str_tokens(model_of_tour(text)[0].argmax(dim=-1))
assert torch.allclose(lens[-1], model_of_tour(text)[0], atol=1e-4)
assert torch.allclose(pattern.sum(dim=-1), torch.ones(pattern.shape[:2]))
assert pattern.triu(diagonal=1).count_nonzero() == 0

blind = ["01_bag_of_words", "02_bow_position", "03_bigram", "04_attention"]
assert (differences[blind] < 1e-3).all() and (differences.drop(blind) > 1e-3).all()

by_transformer_lens = patching.get_act_patch_attn_head_out_all_pos(
    model, model.to_tokens(corrupt), clean_cache,
    lambda logits: torch.tensor((she_over_he(logits) - low) / (high - low)),
)
assert torch.allclose(recovered, by_transformer_lens, atol=1e-4)
assert high > 0 > low

assert torch.equal(moe.blocks[1].mlp.router(read).argmax(dim=-1)[0], own)
assert not torch.equal(own, random)
assert routing.tables["origin"]["as_initialised"].all()
assert not routing.tables["origin"]["gradient_reaches"].any()
"""


def read() -> NotebookNode:
    return nbformat.read(TOUR, as_version=4)


def outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """Everything that is shown, with the number of its cell."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield place, output


def kinds(notebook: NotebookNode) -> list[tuple[int, str, tuple[str, ...]]]:
    return [
        (place, output.output_type, tuple(sorted(output.get("data", {}))))
        for place, output in outputs(notebook)
    ]


@pytest.fixture(scope="module")
def fresh(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The tour, run now by another hand than the one that saved it, and checked."""
    notebook = read()
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        tool.execute(notebook)
    notebook.cells.pop()
    return tool.tidy(notebook)


def test_every_cell_runs_and_what_it_finds_is_true(fresh: NotebookNode) -> None:
    """An error or a check that fails would have been raised by the run."""
    counts = [cell.execution_count for cell in fresh.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert "error" not in {output.output_type for _, output in outputs(fresh)}


def test_the_saved_outputs_are_those_of_the_saved_source(tool: ModuleType) -> None:
    notebook = read()
    assert notebook.metadata.executed_source_sha256 == tool.source_sha256(notebook), (
        "the notebook was changed after it was run: make notebook"
    )


def test_a_fresh_run_shows_the_same_kinds_of_things(fresh: NotebookNode) -> None:
    assert kinds(fresh) == kinds(read())


def test_the_saved_ladder_is_the_one_that_is_shipped() -> None:
    tables = [output.get("data", {}).get("text/html") for _, output in outputs(read())]
    assert lt.stages()._repr_html_() in tables, "the checkpoints have changed: make notebook"


def test_the_saved_lens_ends_in_the_model_s_own_guesses() -> None:
    """Read off the page, against the model asked directly."""
    (page,) = [
        output.data["text/html"]
        for _, output in outputs(read())
        if "final_post" in output.get("data", {}).get("text/html", "")
    ]
    row = page.split("<th>final_post</th>")[1].split("</tr>")[0]
    shown = [TAG.sub("", cell).strip() for cell in row.split("</td>") if TAG.sub("", cell).strip()]
    model = lt.load("09_multi_head")
    guesses = model(model.to_tokens("The girl was happy because"))[0].argmax(dim=-1)
    assert shown == [token.strip() for token in model.to_str_tokens(guesses)]


def test_nothing_is_spilled() -> None:
    spilled = [output.text for _, output in outputs(read()) if output.get("name") == "stderr"]
    assert spilled == []
    text = TOUR.read_text(encoding="utf-8")
    assert "Warning" not in text
    assert re.search(r"0x[0-9a-f]{6}", text) is None
    assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text) is None  # random ids


def test_it_is_short_and_small() -> None:
    assert TOUR.stat().st_size < MOST_BYTES
    assert len(read().cells) < MOST_CELLS


def test_tidying_twice_changes_nothing(tool: ModuleType, fresh: NotebookNode) -> None:
    once = nbformat.writes(fresh)
    assert nbformat.writes(tool.tidy(nbformat.reads(once, as_version=4))) == once


def test_the_hash_sees_the_source_and_nothing_else(tool: ModuleType) -> None:
    notebook = read()
    before = tool.source_sha256(notebook)
    notebook.cells[1].outputs, notebook.cells[1].execution_count = [], 99
    assert tool.source_sha256(notebook) == before
    notebook.cells[1].source += "\n"
    assert tool.source_sha256(notebook) != before
