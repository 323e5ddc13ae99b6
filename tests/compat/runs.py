"""One run: their test files against one stage, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "tests/unit/test_patching.py",
    "tests/unit/test_direct_path_patching.py",
    "tests/unit/test_activation_cache.py",
    "tests/unit/tools/test_logit_lens.py",
    "tests/unit/tools/test_attribution_patching.py",
    "tests/unit/model_bridge/test_component_hooks_fire.py",
    "tests/unit/model_bridge/test_hook_set_enforcement.py",
    "tests/unit/model_bridge/test_gated_hooks.py",
    "tests/integration/test_model_protocol_bridge.py",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stage, with random weights in the sizes that the tests ask for or as it is shipped."""

    stage: str
    weights: str
    files: tuple[str, ...] = FILES


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of one test.

    Attributes:
        test: `file.py::test[parameters]`, the file without its folder.
        outcome: `"passed"`, `"failed"` or `"skipped"` (by the test itself).
        message: How it failed, or why it was skipped.
        on_stage: Whether a stage was built, run or read by it.
    """

    test: str
    outcome: str
    message: str
    on_stage: bool


def execute(run: Run, folder: Path) -> list[Record]:
    """Run the tests.

    Args:
        run: What to run.
        folder: Where TransformerLens's `tests` lie.
    """
    with tempfile.TemporaryDirectory() as temporary:
        records = Path(temporary) / "records.json"
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={folder}"]
        command += ["-p", "no:cacheprovider", "-p", "compat.stage_plugin", "-W", "ignore"]
        done = subprocess.run(
            [*command, "--tb=line", *run.files],
            cwd=folder,
            env=_environment(run, folder, records),
            capture_output=True,
            text=True,
            check=False,
        )
        if not records.is_file():
            raise RuntimeError(f"pytest did not finish on {run.stage}:\n{done.stdout[-3000:]}")
        found = json.loads(records.read_text())
    return [Record(test=short_id(test), **found[test]) for test in sorted(found)]


def short_id(nodeid: str) -> str:
    """`file.py::test[parameters]` of pytest's name for a test: the folders left out."""
    path, _, test = nodeid.partition("::")
    return f"{path.rpartition('/')[2]}::{test}"


def execute_all(runs: list[Run], folder: Path) -> dict[Run, list[Record]]:
    """Run all, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(runs, pool.map(lambda run: execute(run, folder), runs), strict=True))


def _environment(run: Run, folder: Path, records: Path) -> dict[str, str]:
    """Their tests before everything else; ours under the name `compat`, as `tests` is theirs."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT, ROOT / "tests"))),
        "LT_COMPAT_STAGE": run.stage,
        "LT_COMPAT_WEIGHTS": run.weights,
        "LT_COMPAT_RECORDS": str(records),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
