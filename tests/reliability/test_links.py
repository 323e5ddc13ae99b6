"""Links that lead out of their folder, and names that no file or no text can have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.windows import open_rows
from lt_interp.errors import InputError
from lt_interp.files import new_folder, remove_unfinished
from lt_interp.methods.analyze import analyze_into, family_folder
from lt_interp.methods.result import Result
from lt_interp.report.build import build_pages
from lt_interp.training.checkpoint import load
from lt_interp.training.run_folder import find_checkpoint

from .inputs import WIDTH, analyze_small, characters, train_small


def test_a_tokenizer_that_is_a_link_elsewhere_is_refused(good: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))
    shutil.move(run / "tokenizer", tmp_path / "elsewhere")
    (run / "tokenizer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="tokenizer is a link out of its folder"):
        load(run)


@pytest.mark.parametrize("there", [True, False], ids=["a tokenizer", "nothing"])
def test_no_link_leads_training_out_of_its_folder(there: bool, good: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(good / "snapshot" / "run", tmp_path / "run"))
    victim = tmp_path / "victim"
    if there:
        shutil.copytree(good / "tokenizer" / "characters", victim)
        (victim / "precious.txt").write_text("precious")
    (run / "tokenizer").symlink_to(victim)
    with pytest.raises(InputError, match="tokenizer is a link out of its folder"):
        train_small(good, run)
    assert (victim / "precious.txt").exists() == there
    assert victim.exists() == there


def test_no_link_leads_what_is_kept_out_of_its_folder(good: Path, tmp_path: Path) -> None:
    def analyze() -> Path:
        analyze_small(good, tmp_path / "out")
        (kept,) = (tmp_path / "out" / ".parts" / "evolution").iterdir()
        return kept

    kept = analyze()
    shutil.rmtree(kept)
    (tmp_path / "victim").mkdir()
    kept.symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="is a link out of its folder"):
        analyze()
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("link", ["components", ".parts"])
def test_no_link_leads_an_analysis_out_of_its_folder(link: str, good: Path, tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    (victim / "components").mkdir(parents=True)
    (victim / "components" / "precious.txt").write_text("precious")
    (out / link).symlink_to(victim)
    with pytest.raises(InputError, match="is a link out of its folder"):
        analyze_small(good, out, "components")
    assert [p.name for p in victim.rglob("*")] == ["components", "precious.txt"]
    (out / "numpy_gpt").symlink_to(victim)
    with pytest.raises(InputError, match="is a link out of its folder"):
        family_folder(out, "numpy_gpt")


def test_no_page_is_written_through_a_link(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "components").symlink_to(good / "result-components" / "components")
    with pytest.raises(InputError, match="is a link out of its folder"):
        build_pages(out, family="four_layer_gpt")


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no checkpoint"):
        find_checkpoint("x" * 300)
    with new_folder(tmp_path / ("n" * 245)) as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / ("n" * 245) / "a").exists()


def test_names_that_are_no_text(good: Path, tmp_path: Path) -> None:
    """Systems allow them; a result says them with question marks."""
    corpus = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.txt"))
    shutil.copy(good / "txt" / "corpus" / "train.txt", corpus)
    rows = open_rows(open_corpus(corpus), characters(good), width=WIDTH)
    assert rows.corpus_name == "?.txt"
    run = shutil.copytree(good / "checkpoint" / "run", tmp_path / ("n" * 250))
    result = analyze_into(
        tmp_path / "out", "evolution", run, rows, seed=0, progress=None, command=""
    )
    assert Result.load(tmp_path / "out" / "evolution").meta == result.meta


def test_a_link_among_what_a_kill_left_is_no_way_out(tmp_path: Path) -> None:
    kept, out = tmp_path / "kept", tmp_path / "out"
    kept.mkdir()
    (kept / "precious.txt").write_text("precious")
    out.mkdir()
    (out / ".a.unfinished-1").symlink_to(kept)
    (out / ".b.unfinished-1").symlink_to(".b.unfinished-1")
    remove_unfinished(out, older_than_seconds=0)
    assert list(out.iterdir()) == []
    assert (kept / "precious.txt").exists()


def test_a_new_folder_takes_the_place_of_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with new_folder(tmp_path / "link") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "real" / "a").read_text() == "a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_an_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "one"
    target.mkdir()
    (target / "old").write_text("old")
    replace, calls = os.replace, list[Any]()

    def second_fails(source: Any, place: Any) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        replace(source, place)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="no"), new_folder(target) as folder:
        (folder / "new").write_text("new")
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]
