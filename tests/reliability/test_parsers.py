"""Any bytes, any JSON: every parser reads them or says in one exception why not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lt_interp.corpus.article_tokenizer import open_tokenizer
from lt_interp.corpus.readers import DELIMITER, read_stories
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.errors import InputError
from lt_interp.methods.result import Result
from lt_interp.model.config import ModelConfig
from lt_interp.stages import STAGES
from lt_interp.training.metrics import read_metrics
from lt_interp.training.pt_file import read_pt
from lt_interp.training.run_folder import read_card, read_config, stored_shapes

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
words = st.sampled_from(
    [DELIMITER, "\n", "\r\n", "\ufeff", '{"text": "a"}', '{"text":', "PAR1", "[", '"', "\\ud800",
     "a story", "\x00", "\u2028", "1e999", "NaN"]
)  # fmt: skip
data = st.binary(max_size=200) | st.lists(words, max_size=8).map("".join).map(str.encode)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def refused_or_read(path: Path, content: bytes, read: Callable[[Path], Any]) -> None:
    """No other exception comes out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with suppress(InputError):
        read(path)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".parquet"])
@quick
@given(content=data)
def test_corpora(suffix: str, content: bytes, tmp_path: Path) -> None:
    def read(path: Path) -> None:
        for story in read_stories(path):
            assert story == story.strip() != ""
            assert DELIMITER not in story.split("\n")

    refused_or_read(tmp_path / f"a{suffix}", content, read)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("config.json", lambda path: read_config(path.parent)),
        ("run.json", lambda path: read_card(path.parent)),
        ("model.safetensors", lambda path: stored_shapes(path.parent)),
        ("metrics.jsonl", lambda path: read_metrics(path.parent)),
        ("result.json", lambda path: Result.load(path.parent)),
        ("vocabulary.json", lambda path: load_tokenizer(path.parent)),
        ("tokenizer.json", lambda path: open_tokenizer(path.parent)),
        ("theirs.pt", read_pt),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@quick
@given(content=data | values.map(json.dumps).map(str.encode))
def test_bytes(name: str, read: Callable[[Path], Any], content: bytes, tmp_path: Path) -> None:
    refused_or_read(tmp_path / name, content, read)


@quick
@given(
    columns=st.dictionaries(
        st.text(max_size=3),
        st.sampled_from(["int64", "float64", "bool", "object", "Int64", "boolean", "int8"]),
        max_size=3,
    ),
    rows=st.lists(st.lists(values, max_size=3), max_size=3),
    name=st.text(max_size=4),
)
def test_results_that_are_nearly_right(
    columns: dict[str, str], rows: list[list[Any]], name: str, tmp_path: Path
) -> None:
    stored = {
        "format_version": 1, "name": "evolution", "meta": {},
        "tables": {name: {"types": columns, "rows": rows}},
    }  # fmt: skip
    content = json.dumps(stored).encode()

    def again(path: Path) -> None:
        result = Result.load(path.parent)
        result.save(tmp_path / "again")
        assert Result.load(tmp_path / "again").rows(name) == result.rows(name)

    refused_or_read(tmp_path / "result.json", content, again)


@quick
@given(
    field=st.sampled_from(sorted(ModelConfig.__dataclass_fields__)),
    value=values | st.integers(-2, 300),
    stage=st.sampled_from(sorted(STAGES)),
)
def test_configs_with_a_field_changed(field: str, value: Any, stage: str) -> None:
    stored = {**STAGES[stage].config.to_dict(), field: value}
    with suppress(InputError):
        config = ModelConfig.from_dict(stored)
        assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@quick
@given(
    shape=st.lists(st.integers(0, 5), max_size=3),
    stride=st.lists(st.integers(0, 2**40), max_size=3),
    key=st.text(max_size=5),
)
def test_tensors_that_claim_what_is_not_stored(
    shape: list[int], stride: list[int], key: str, tmp_path: Path
) -> None:
    tensor = torch.arange(150.0)
    with suppress(RuntimeError):
        tensor = tensor.as_strided(shape, [s % 4 for s in stride][: len(shape)])
    buffer = io.BytesIO()
    torch.save({key: tensor}, buffer)
    refused_or_read(tmp_path / "theirs.pt", buffer.getvalue(), read_pt)
    array = np.zeros(tensor.shape)
    assert array.size == tensor.numel()
