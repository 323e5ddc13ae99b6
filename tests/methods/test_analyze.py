"""An analysis by name, and into a folder that can continue."""

from __future__ import annotations

from pathlib import Path

import pytest

import lt_interp as lt
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.analyze import PARTS, analyze_into, forget_parts
from lt_interp.methods.evolution import evolution
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.training.checkpoint import load

from .conftest import tiny


def test_one_line_is_the_method_itself(trained: Path, rows: Rows) -> None:
    ours = lt.analyze("evolution", trained / "03_bigram", corpus=rows, prompts=["Tom"])
    direct = evolution(trained / "03_bigram", rows, prompts=["Tom"])
    assert ours.tables["ladder"].equals(direct.tables["ladder"])
    assert ours.tables["samples"]["prompt"].tolist() == ["Tom"]


def test_a_model_in_memory_and_stories_by_path(trained: Path, tmp_path: Path) -> None:
    stories = tmp_path / "stories.txt"
    stories.write_text("Tom saw a dog. Ann saw a cat.\n<|endoftext|>\n" * 20)
    model = load(trained / "03_bigram")
    ladder = lt.analyze("evolution", model, corpus=stories).tables["ladder"]
    assert ladder["stage"].tolist() == ["03_bigram"]
    assert ladder["tokens_seen"].isna().all()


def test_what_is_unknown_is_named(trained: Path, rows: Rows) -> None:
    with pytest.raises(InputError, match="no analysis 'lens'"):
        lt.analyze("lens", trained / "03_bigram", corpus=rows)
    with pytest.raises(InputError, match="no option 'tokens'; its options: prompts"):
        lt.analyze("evolution", trained / "03_bigram", corpus=rows, tokens=3)
    with pytest.raises(InputError, match="has no tokenizer"):
        lt.analyze("evolution", StageModel(tiny("03_bigram")), corpus="embedded")


def test_parts_are_kept_until_they_are_forgotten(
    trained: Path, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Result:
        return analyze_into(
            tmp_path, "evolution", trained / "03_bigram", rows, seed=0, progress=None, command="c"
        )

    first = run()
    assert list((tmp_path / PARTS / "evolution").glob("03_bigram-*/result.json"))
    assert Result.load(tmp_path / "evolution").meta == first.meta
    monkeypatch.setattr("lt_interp.methods.evolution.evaluate", None)
    assert run().tables["ladder"].equals(first.tables["ladder"])
    forget_parts(tmp_path, ["evolution"])
    assert [path.name for path in tmp_path.iterdir()] == ["evolution"]
