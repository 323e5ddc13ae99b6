"""Every registered analysis exists and is called the same way."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.methods.registry import ANALYSES


@pytest.mark.parametrize("name", ANALYSES)
def test_analysis_is_called_the_same_way_and_named_alike(
    name: str, trained: Path, rows: Rows
) -> None:
    module, _, function = ANALYSES[name][1].partition(":")
    analysis = getattr(importlib.import_module(module), function)
    steps: list[tuple[int, int, str]] = []
    result = analysis(
        [trained / "04_attention"],
        rows,
        seed=0,
        progress=lambda *args: steps.append(args),
        command="lt-interp report",
    )
    assert result.name == name
    assert result.meta["command"] == "lt-interp report"
    assert steps[-1][0] == steps[-1][1] > 0
    assert inspect.signature(analysis).parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY


def test_reading_a_result_loads_no_model_library() -> None:
    code = (
        "import lt_interp.methods.result, lt_interp.methods.statistics, lt_interp.methods.registry,"
        "sys; sys.exit('torch' in sys.modules or 'transformer_lens' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
