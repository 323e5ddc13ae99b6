"""Every registered analysis exists and is called the same way."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.registry import ANALYSES, get_analysis


@pytest.mark.parametrize("name", ANALYSES)
def test_analysis_is_called_the_same_way_and_named_alike(
    name: str, trained: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lt_interp.methods.two_sentences.STEPS", (1, 2))
    module, _, function = ANALYSES[name].function.partition(":")
    analysis = getattr(importlib.import_module(module), function)
    steps: list[tuple[int, int, str]] = []
    result = analysis(
        [trained / "04_attention", trained / "10_moe"],
        rows,
        progress=lambda *args: steps.append(args),
        command="lt-interp report",
    )
    assert result.name == name
    assert result.meta["command"] == "lt-interp report"
    assert steps[-1][0] == steps[-1][1] > 0
    parameters = inspect.signature(analysis).parameters
    shared = {"models", "rows", "seed", "progress", "command", "keep"}
    assert set(parameters) >= shared | set(ANALYSES[name].options)
    assert parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY


def test_unknown_analysis_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="allowed: components, two_sentences, evolution"):
        get_analysis("atention")
    assert get_analysis("moe-routing") == ("moe_routing", ANALYSES["moe_routing"])


def test_reading_a_result_loads_no_model_library() -> None:
    code = (
        "import lt_interp.methods.result, lt_interp.methods.statistics, lt_interp.methods.registry,"
        "sys; sys.exit('torch' in sys.modules or 'transformer_lens' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
