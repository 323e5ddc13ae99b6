"""A fast part of `make compat`, and its own parts on planted input."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lt_interp.stages import LADDER
from tests.compat import sdist
from tests.compat.page import markdown, rows
from tests.compat.reasons import Reason, idle_patterns, judge, load_reasons
from tests.compat.runs import FILES, Record, Run, execute

FAST = (
    "tests/unit/test_direct_path_patching.py",
    "tests/unit/model_bridge/test_hook_set_enforcement.py",
    "tests/unit/model_bridge/test_gated_hooks.py",
)


def record(test: str, outcome: str = "passed", *, on_stage: bool = True) -> Record:
    return Record(test=test, outcome=outcome, message="", on_stage=on_stage)


@pytest.mark.parametrize("stage", ["09_multi_head", "10_moe"])
def test_their_tests_of_hooks_and_of_path_patching_pass(stage: str) -> None:
    if not (sdist.CACHE / sdist.ARCHIVE).is_file():
        pytest.skip("no TransformerLens tests here; `make test` or `make compat` fetches them")
    run = Run(stage=stage, weights="random", files=FAST)
    verdict = judge(run, execute(run, sdist.unpacked_tests()), load_reasons())
    assert verdict.failed == []
    assert verdict.apply_after_all == []
    passed = [one.test for one in verdict.passed]
    assert len(passed) >= 45
    assert any("test_matches_edge_ablation[v-" in test for test in passed)


def test_a_run_is_sorted_by_outcome_and_by_reason() -> None:
    run = Run(stage="10_moe", weights="random")
    reasons = [Reason("no RMS", ["a.py::*[[]RMS*"]), Reason("experts", ["a.py::n*"], lacks=None)]
    records = [
        record("a.py::x"),
        record("a.py::fake", on_stage=False),
        record("a.py::x[RMS-1]", "failed"),
        record("a.py::neurons"),
        record("a.py::y", "failed"),
        record("a.py::z", "skipped"),
    ]
    verdict = judge(run, records, reasons)
    assert [one.test for one in verdict.passed] == ["a.py::x"]
    assert [one.test for one in verdict.without_model] == ["a.py::fake"]
    assert [one.test for one in verdict.not_applicable["no RMS"]] == ["a.py::x[RMS-1]"]
    assert [one.test for one in verdict.apply_after_all] == ["a.py::neurons"]
    assert [one.test for one in verdict.failed] == ["a.py::y"]
    assert [one.test for one in verdict.their_skips] == ["a.py::z"]
    assert idle_patterns(reasons, {run: verdict}) == ["a.py::n*"]


@pytest.mark.parametrize(
    ("lacks", "stages"),
    [
        ("stream", ["01_bag_of_words", "03_bigram", "04_attention", "06_ffn"]),
        ("attention", ["01_bag_of_words", "03_bigram"]),
        ("feed-forward", ["01_bag_of_words", "03_bigram", "04_attention"]),
        ("one feed-forward layer", ["10_moe", "10_moe_gated"]),
    ],
)
def test_a_row_counts_for_stages_that_lack_the_part(lacks: str, stages: list[str]) -> None:
    row = Reason("", ["*"], lacks=lacks)
    tried = ["01_bag_of_words", "03_bigram", "04_attention", "06_ffn", "07_block", *LADDER]
    counted = {stage for stage in tried if row.counts_for(Run(stage=stage, weights="random"))}
    assert set(stages) <= counted
    assert "09_multi_head" not in counted
    shipped = Reason("", ["*"], weights="shipped")
    assert not shipped.counts_for(Run(stage="09_multi_head", weights="random"))


def test_the_table_of_reasons_names_their_files() -> None:
    files = {path.rpartition("/")[2] for path in FILES}
    for reason in load_reasons():
        assert reason.why.endswith(".")
        assert {pattern.partition("::")[0] for pattern in reason.tests} <= files


def test_the_page_counts_what_the_verdict_holds() -> None:
    run = Run(stage="09_multi_head", weights="random")
    file = FILES[0].rpartition("/")[2]
    records = [record(f"{file}::a"), record(f"{file}::b", "failed"), record("other.py::c")]
    verdict = judge(run, records, [Reason("No b.", [f"{file}::b"])])
    first = next(rows({run: verdict}))
    assert first == (file, "09_multi_head", "random", "1", "1", "0", "0", "1")
    assert f"- No b.\n  - every run: 1 of `{file}`\n" in markdown({run: verdict})
    other = Run(stage="10_moe", weights="random")
    page = markdown({run: verdict, other: judge(other, [], [])})
    assert f"- No b.\n  - 09_multi_head random: 1 of `{file}`\n" in page


def archive_of(folder: Path, names: list[str]) -> Path:
    path = folder / sdist.ARCHIVE
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"x=1\n"))
    return path


def test_only_python_files_of_the_tests_are_unpacked(tmp_path: Path) -> None:
    path = archive_of(tmp_path, ["r/tests/a.py", "r/tests/b.bin", "r/setup.py"])
    sdist.unpack(path, tmp_path / "out")
    found = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")]
    assert found == ["tests/a.py"]


def test_a_path_that_leads_outside_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = archive_of(tmp_path, ["r/tests/../../../evil.py"])
    with pytest.raises(tarfile.FilterError):
        sdist.unpack(path, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep" / "out").exists()
    assert not list(tmp_path.rglob("evil.py"))


def test_another_file_than_the_expected_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive_of(tmp_path, ["r/tests/a.py"])
    with pytest.raises(sdist.SdistError, match="delete it"):
        sdist.unpacked_tests(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(sdist, "SHA256", digest)
    folder = sdist.unpacked_tests(tmp_path)
    assert (folder / "tests" / "a.py").is_file()
    assert sdist.unpacked_tests(tmp_path) == folder  # a second time, from the cache
