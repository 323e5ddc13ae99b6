"""A study measures one model after the other, and continues where it was interrupted."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods import study as study_module
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.study import Share, Study
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

from .conftest import tiny

COLUMNS = {"sizes": {"parameters": int, "remark": str}}


class Counting:
    """Counts parameters, and how often it was asked; fails at the n-th model."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.opened: list[str] = []
        self.fails_at = fails_at

    def __call__(self, model: StageModel, share: Share) -> dict[str, list[dict[str, Any]]]:
        if len(self.opened) == self.fails_at:
            raise KeyboardInterrupt
        self.opened.append(str(model.cfg.model_name))
        share(1, 2)
        return {"sizes": [{"parameters": sum(p.numel() for p in model.parameters())}]}


def study(trained: Path, rows: Rows, **changes: Any) -> Study:
    names = [trained / name for name in ("03_bigram", "04_attention", "10_moe", "10_moe-seed1")]
    facts = {"name": "sizes", "checkpoints": find_checkpoints(names), "rows": rows, "seed": 0}
    return Study(**{**facts, **changes})


def needs_attention(config: ModelConfig) -> str | None:
    return None if config.n_heads else "has no attention"


def test_every_model_has_a_row_that_says_whether_the_study_applies(
    trained: Path, rows: Rows
) -> None:
    steps: list[tuple[int, int, str]] = []
    one = study(trained, rows, progress=lambda *step: steps.append(step))
    tables = one.each(Counting(), columns=COLUMNS, needs=needs_attention)
    applies = tables["applies"]
    assert applies["checkpoint"].tolist() == [c.name for c in one.checkpoints]
    assert applies["applies"].tolist() == [False, True, True, True]
    assert applies["reason"].tolist()[0] == "has no attention"
    assert tables["sizes"]["checkpoint"].tolist() == applies["checkpoint"].tolist()[1:]
    assert tables["sizes"]["train_seed"].tolist() == [0, 0, 1]
    assert tables["sizes"]["remark"].isna().all()
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1] == (4000, 4000, "sizes")
    assert (1500, 4000, "04_attention") in steps


def test_interrupted_and_begun_again_it_opens_only_what_is_left(
    trained: Path, rows: Rows, tmp_path: Path
) -> None:
    whole = study(trained, rows).each(Counting(), columns=COLUMNS)
    kept = study(trained, rows, keep=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        kept.each(Counting(fails_at=2), columns=COLUMNS)
    again = Counting()
    tables = study(trained, rows, keep=tmp_path).each(again, columns=COLUMNS)
    assert again.opened == ["10_moe", "10_moe"]
    for name, table in whole.items():
        assert table.equals(tables[name])


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: re.sub(r"\[\d+,", "[1,", text),  # another number of parameters
        lambda text: "",
    ],
    ids=["truncated", "edited", "empty"],
)
def test_a_damaged_part_is_measured_anew(
    damage: Callable[[str], str],
    trained: Path,
    rows: Rows,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = study(trained, rows, keep=tmp_path).each(Counting(), columns=COLUMNS)
    (part,) = tmp_path.glob("04_attention-*/result.json")
    kept = part.read_text(encoding="utf-8")
    assert damage(kept) != kept
    part.write_text(damage(kept), encoding="utf-8")
    for opened in (["04_attention"], []):  # and kept again
        again = Counting()
        tables = study(trained, rows, keep=tmp_path).each(again, columns=COLUMNS)
        assert again.opened == opened
        assert tables["sizes"].equals(whole["sizes"])
    (said,) = caplog.messages
    assert str(part) in said
    assert said.endswith("04_attention is measured anew")


@pytest.mark.parametrize("change", [{"seed": 1}, {"options": {"prompts": ["a"]}}, {"name": "x"}])
def test_another_study_uses_nothing_of_it(
    trained: Path, rows: Rows, tmp_path: Path, change: dict[str, Any]
) -> None:
    study(trained, rows, keep=tmp_path).each(Counting(), columns=COLUMNS)
    again = Counting()
    study(trained, rows, keep=tmp_path, **change).each(again, columns=COLUMNS)
    assert len(again.opened) == 4


@pytest.mark.parametrize("fact", ["corpus_sha256", "corpus_split"])
def test_other_rows_use_nothing_of_it(trained: Path, rows: Rows, tmp_path: Path, fact: str) -> None:
    study(trained, rows, keep=tmp_path).each(Counting(), columns=COLUMNS)
    again = Counting()
    other = dataclasses.replace(rows, **{fact: "0" * 64})
    study(trained, other, keep=tmp_path).each(again, columns=COLUMNS)
    assert len(again.opened) == 4


@pytest.mark.parametrize("what", ["_code_sha256", "versions"])
def test_other_code_uses_nothing_of_it(
    trained: Path, rows: Rows, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(trained, rows, keep=tmp_path).each(Counting(), columns=COLUMNS)
    again = Counting()
    monkeypatch.setattr(study_module, what, lambda: "another")
    study(trained, rows, keep=tmp_path).each(again, columns=COLUMNS)
    assert len(again.opened) == 4


def test_other_weights_of_one_name_use_nothing_of_it(rows: Rows, tmp_path: Path) -> None:
    for seed, times in ((0, 1), (0, 0), (1, 1)):
        model = StageModel(tiny("04_attention"), name="mine", seed=seed)
        one = Study(
            name="sizes", checkpoints=find_checkpoints(model), rows=rows, seed=0, keep=tmp_path
        )
        counting = Counting()
        one.each(counting, columns=COLUMNS)
        assert len(counting.opened) == times


def test_a_model_in_memory_is_measured_and_known_by_its_weights(rows: Rows) -> None:
    models = [StageModel(tiny("04_attention"), name="mine", seed=seed) for seed in (0, 0, 1)]
    hashes = [find_checkpoints(model)[0].weights_sha256 for model in models]
    assert hashes[0] == hashes[1] != hashes[2]
    one = Study(name="sizes", checkpoints=find_checkpoints(models[0]), rows=rows, seed=0)
    result = one.result(one.each(Counting(), columns=COLUMNS), notes={})
    assert result.tables["sizes"]["checkpoint"].tolist() == ["mine"]
    assert result.meta["models"]["mine"]["weights_sha256"] == hashes[0]
    assert result.meta["models"]["mine"]["tokens_seen"] is None


def test_rows_of_another_tokenizer_are_refused(trained: Path, rows: Rows) -> None:
    other = Rows(**{**vars(rows), "tokenizer_sha256": "0" * 64})
    with pytest.raises(InputError, match="another tokenizer"):
        study(trained, other).each(Counting(), columns=COLUMNS)
