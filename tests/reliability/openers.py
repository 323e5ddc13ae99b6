"""What users do with every kind of input; each reads all of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from lt_interp.corpus.article_tokenizer import open_tokenizer
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.corpus.windows import open_rows
from lt_interp.export.folder import export
from lt_interp.methods.activation_patching.prompt_pairs import group_pairs, read_pairs
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.parameters import count, weight_shapes
from lt_interp.methods.xray import xray
from lt_interp.model.hook_table import hook_table
from lt_interp.report.build import build_pages
from lt_interp.training.checkpoint import load
from lt_interp.training.convert import convert
from lt_interp.training.metrics import read_metrics

from .hostile import TAGS, as_html, wrong_in
from .inputs import PT_STAGE, WIDTH, cached_in, characters, small_data, train_small

TEXT = "the dog sat.\u00e9"
Open = Callable[[Path, Path, Path], None]
"""Takes the folder of all good inputs, the changed one, and where results may go."""


def checkpoint(good: Path, case: Path, _out: Path) -> None:
    """List it, look at how it was trained, open it, read, score and write with it."""
    (found,) = find_checkpoints([case / "run"])
    count(weight_shapes(found))
    hook_table(found.config)
    read_metrics(case / "run")
    model, same = load(case / "run"), load(good / "checkpoint" / "run")
    stored = load_file(case / "run" / "model.safetensors")
    same.load_state_dict({name: weight.float() for name, weight in stored.items()})
    logits = model("the dog")
    assert torch.equal(logits.nan_to_num(), same("the dog").nan_to_num()), "another model"
    assert evaluate(model, small_data(good).validation, seed=0).perplexity > 0
    assert model.generate("the dog", 3)
    xray(model, "the dog")


def snapshot(good: Path, case: Path, _out: Path) -> None:
    """Train on, to the weights of a run that nothing happened to."""
    train_small(good, case / "run")
    ours, theirs = (place / "run" / "model.safetensors" for place in (case, good / "checkpoint"))
    assert ours.read_bytes() == theirs.read_bytes(), "other weights"


def tokenizer(good: Path, case: Path, _out: Path, *, kind: str = "tokenizer") -> None:
    """Open it, there and back."""
    (folder,) = (path for path in case.iterdir())
    found = open_tokenizer(folder)
    same = open_tokenizer(good / kind / folder.name)
    if found.sha256 == same.sha256:
        assert found.encode(TEXT) == same.encode(TEXT), "other ids"
    found.decode(found.encode(TEXT))


def pt(good: Path, case: Path, out: Path) -> None:
    """Convert it."""
    convert(case / "theirs.pt", PT_STAGE, out=out / "converted", tokenizer=characters(good))
    export(load(out / "converted"), format="hf", out=out / "exported")


def corpus(good: Path, case: Path, _out: Path) -> None:
    """Encode both splits."""
    for split in ("train", "validation"):
        open_rows(open_corpus(case / "corpus", split=split), characters(good), width=WIDTH)


def cache(good: Path, case: Path, _out: Path) -> None:
    """Take rows from it; where it is not whole it is built anew."""
    with cached_in(case / "cache"):
        rows = small_data(good).train
    assert np.array_equal(rows.tokens, small_data(good).train.tokens), "other tokens"
    assert np.array_equal(rows.story_starts, small_data(good).train.story_starts), "other stories"


def result(_good: Path, case: Path, _out: Path) -> None:
    """Draw its page, which shows what it holds and no more."""
    build_pages(case, family="four_layer_gpt")
    for page in case.rglob("*.md"):
        assert wrong_in(as_html(page.read_text(encoding="utf-8")), TAGS) == [], "not inert"


def pairs(_good: Path, case: Path, _out: Path) -> None:
    """Read them as tokens."""
    shipped = Path(__file__).parents[2] / "trained" / "tokenizers" / "tinystories-4096"
    group_pairs(read_pairs(case / "prompt_pairs.json"), load_tokenizer(shipped), n_ctx=256)


OPENERS: dict[str, Open] = {
    "checkpoint": checkpoint,
    "snapshot": snapshot,
    "tokenizer": tokenizer,
    "bpe": partial(tokenizer, kind="bpe"),
    "notebook": partial(tokenizer, kind="notebook"),
    "pt": pt,
    "txt": corpus,
    "jsonl": corpus,
    "parquet": corpus,
    "pairs": pairs,
    "cache": cache,
    "result-components": result,
    "result-kv_cache": result,
}
WEIGHTS = {"checkpoint": 4, "pt": 3, "result-components": 2, "result-kv_cache": 0.5, "bpe": 0.3,
           "snapshot": 0.7}  # fmt: skip
"""How often each is drawn, 1 where nothing stands: what takes long is drawn seldom."""
