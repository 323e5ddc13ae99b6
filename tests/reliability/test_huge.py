"""What is small to send and huge to read: refused before it takes all memory or hours."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow
import pytest
import torch
from pyarrow import parquet

from lt_interp.corpus.batches import BATCH_CHARACTERS, BATCH_STORIES, batched
from lt_interp.corpus.readers import (
    LARGEST_GROWTH,
    LARGEST_STORY_BYTES,
    LEAST_LIMIT_BYTES,
    read_stories,
)
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.result import RESULT, Result
from lt_interp.methods.xray import xray
from lt_interp.reading import LARGEST_VALUES
from lt_interp.report.build import build_pages
from lt_interp.training.checkpoint import load
from lt_interp.training.metrics import read_metrics

from .inputs import SAVED, small_data
from .strangers import change_weights

LONG = "w" * (LARGEST_STORY_BYTES + 1)


def test_a_story_of_megabytes_is_refused_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LONG)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": LONG}))
    parquet.write_table(pyarrow.table({"text": ["short", LONG]}), tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InputError, match=r"a story of more than 4,194,304 bytes"):
            list(read_stories(path))


@pytest.mark.parametrize("repeated", [True, False], ids=["a dictionary", "compressed"])
def test_a_table_that_grows_is_refused(repeated: bool, tmp_path: Path) -> None:
    path, story = tmp_path / "a.parquet", "w" * 2_000_000
    n = LEAST_LIMIT_BYTES // len(story) + 2
    table = pyarrow.table({"text": [story] * n})
    parquet.write_table(table, path, use_dictionary=repeated, compression="zstd")
    assert path.stat().st_size * LARGEST_GROWTH < LEAST_LIMIT_BYTES
    read: list[str] = []
    with pytest.raises(InputError, match=r"'text' grows to .* more than 50 times the file"):
        read.extend(read_stories(path))
    # extend keeps what came before the error: nothing where the file itself says how large it is
    assert len(read) == (n - 2 if repeated else 0)


def test_a_table_of_empty_texts_is_refused(tmp_path: Path) -> None:
    texts = pyarrow.array([""] * 1_000_000)
    with parquet.ParquetWriter(tmp_path / "a.parquet", pyarrow.schema({"text": "string"})) as file:
        for _ in range(20):
            file.write_table(pyarrow.table({"text": texts}))
    with pytest.raises(InputError, match=r"'text' grows to .* more than 50 times the file"):
        list(read_stories(tmp_path / "a.parquet"))


def test_lists_of_texts_are_refused_unread(tmp_path: Path) -> None:
    table = pyarrow.table({"text": [["a"], ["b"]]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"'text' is of type list<.*every text must be a string"):
        list(read_stories(tmp_path / "a.parquet"))


@pytest.mark.parametrize("place", ["weights", "head", "vocabulary"])
def test_a_hole_of_gigabytes_is_not_hashed(place: str, good: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))
    if place == "vocabulary":
        os.truncate(run / "tokenizer" / "vocabulary.json", 2**38)
        with pytest.raises(InputError, match="has 274,877,906,944 bytes, and at most"):
            load_tokenizer(run / "tokenizer")
        return
    path = run / "model.safetensors"
    if place == "head":
        path.write_bytes((2**26).to_bytes(8, "little") + b" " * 2**26)
    else:
        os.truncate(path, 2**38)
    for use in (lambda: find_checkpoints(run)[0].weights_sha256, lambda: load(run)):
        with pytest.raises(InputError, match="no stage has more than"):
            use()


@pytest.mark.parametrize(
    ("name", "column", "n", "refusal"),
    [
        ("logit_lens", "checkpoint", 300, "3.. kinds of checkpoint; a page shows 200"),
        ("moe_routing", "expert", 300, "3.. kinds of expert; a page shows 200"),
        ("position_blindness", "variant", 300, "3.. panels; a page shows 200"),
        ("activation_patching", "train_seed", 9_000, "3.,... square inches of figures; a page"),
    ],
)
def test_pages_show_so_much_and_no_more(
    name: str, column: str, n: int, refusal: str, tmp_path: Path
) -> None:
    stored = json.loads(SAVED[name].read_text())
    stored.pop("sha256", None)
    for table in stored["tables"].values():
        if column in table["types"] and table["rows"]:
            place = list(table["types"]).index(column)
            first = table["rows"][0]
            text = table["types"][column] == "object"
            cells = [f"{column} {k}" if text else k for k in range(n)]
            table["rows"] += [[*first[:place], cell, *first[place + 1 :]] for cell in cells]
    (tmp_path / name).mkdir()
    (tmp_path / name / RESULT).write_text(json.dumps(stored))
    with pytest.raises(InputError, match=refusal):
        build_pages(tmp_path)
    assert [path.name for path in (tmp_path / name).iterdir()] == [RESULT]


def test_batches_hold_every_story_and_few_characters() -> None:
    stories = ["x"] * 2_500 + ["y" * (BATCH_CHARACTERS // 2 + 1)] * 5 + ["z"]
    batches = list(batched(stories))
    assert [story for batch in batches for story in batch] == stories
    assert max(map(len, batches)) == BATCH_STORIES
    assert max(sum(map(len, batch[:-1])) for batch in batches) < BATCH_CHARACTERS
    assert list(batched([])) == []


def test_metrics_of_more_values_than_runs_have(good: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))
    line = "[" + "0," * (LARGEST_VALUES // 4) + "0]\n"
    (run / "metrics.jsonl").write_text(line * 5)  # of which each alone would be read
    with pytest.raises(InputError, match="more than 8,388,608 values"):
        read_metrics(run)


def test_a_result_of_endless_text_is_neither_saved_nor_read(tmp_path: Path) -> None:
    fits, long = ("w" * n for n in (100_000, 100_001))
    for meta, cell in (({"notes": {"a": [long]}}, ""), ({"command": long}, ""), ({}, long)):
        result = Result(name="r", tables={"t": pd.DataFrame({"x": [cell]})}, meta=meta)
        with pytest.raises(InputError, match="must be shorter than or equal to 100000 characters"):
            result.save(tmp_path)
        assert not list(tmp_path.iterdir())
    Result(name="r", tables={"t": pd.DataFrame({"x": [fits]})}, meta={"a": fits}).save(tmp_path)
    assert Result.load(tmp_path).rows("t") == [{"x": fits}]
    path = tmp_path / RESULT
    path.write_text(path.read_text().replace(fits, long))
    with pytest.raises(InputError, match="must be shorter than or equal to 100000 characters"):
        Result.load(tmp_path)


def test_logits_out_of_all_bounds_are_named(good: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))
    rows = small_data(good).validation
    change_weights(run, lambda weights: weights.update(
        {"unembed.W_U": torch.full_like(weights["unembed.W_U"], 3e38, dtype=torch.float32)}
    ))  # fmt: skip
    for use in (lambda: evaluate(load(run), rows, seed=0), lambda: xray(load(run), "the dog")):
        with pytest.raises(InputError, match=r"activation unembed\.hook_out holds NaN"):
            use()
    change_weights(run, lambda weights: weights.update(
        {"unembed.W_U": 1e30 * torch.randn(16, 20, generator=torch.Generator().manual_seed(0))}
    ))  # fmt: skip
    with pytest.raises(InputError, match=r"a loss of [\d,]+ nats has no perplexity"):
        _ = evaluate(load(run), rows, seed=0).perplexity
