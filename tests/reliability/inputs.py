"""One good input of every kind that somebody may send, small enough to be read in a moment."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from lt_interp.corpus.simple_tokenizers import CharacterTokenizer, build_character
from lt_interp.corpus.sources import open_corpus
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.corpus.windows import Rows, open_rows
from lt_interp.files import trained_folder
from lt_interp.methods.activation_patching.prompt_pairs import shipped_pairs, write_pairs
from lt_interp.methods.analyze import analyze_into
from lt_interp.methods.result import Result
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import Stage, get_stage
from lt_interp.training.batches import Data
from lt_interp.training.loop import train
from lt_interp.training.recipe import Recipe, recipe_for

ROOT = Path(__file__).parents[2]
STAGE, PT_STAGE = "10_moe_gated", "03_bigram"
WIDTH, STEPS, STOP = 16, 12, 6
WORDS = ("the", "a", "dog", "cat", "bird", "ran", "sat", "saw", "big", "red", "sun", "was")
RESULTS = ("four_layer_gpt/components", "four_layer_gpt/kv_cache")
# A saved result of every analysis.
SAVED = {
    path.parent.name: path
    for place in ("numpy_gpt", "four_layer_gpt", "char_ablations", "")  # of two the last
    for path in sorted((ROOT / "reports" / place).glob("*/result.json"))
    if place != "numpy_gpt" or path.parent.name == "two_sentences"
}


class StoppedError(Exception):
    """Stands for a run that was interrupted."""


def write_inputs(folder: Path) -> None:
    """Write one folder a kind under `folder`; the same every time but for seconds and dates."""
    torch.set_num_threads(1)
    _corpora(folder)
    tokenizer = characters(folder)
    for name in ("checkpoint", "snapshot"):
        (folder / name).mkdir()
        train_small(folder, folder / name / "run", stop=name == "snapshot")
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer" / "characters")
    bpe = folder / "bpe" / "gpt2"
    shutil.copytree(
        trained_folder() / "tokenizers" / "tinystories-4096", bpe,
        ignore=shutil.ignore_patterns("tokenizer*.json"),
    )  # fmt: skip
    _notebook_tokenizer(folder / "notebook")
    _pt_file(folder / "pt", tokenizer)
    for result in RESULTS:
        place = folder / f"result-{Path(result).name}"
        shutil.copytree(ROOT / "reports" / result, place / Path(result).name)
    with cached_in(folder / "cache" / "cache"):
        small_data(folder)
    (folder / "pairs").mkdir()
    write_pairs(folder / "pairs" / "prompt_pairs.json", shipped_pairs()[:4], chosen={"seed": 0})


def train_small(folder: Path, out: Path, *, stop: bool = False, seed: int = 0) -> None:
    """Train the small stage on the small corpus, or interrupt it where a snapshot was made."""

    def on_step(done: int, _total: int, _line: dict[str, Any]) -> None:
        if stop and done == STOP:
            raise StoppedError

    stage, data = small_stage(characters(folder).d_vocab), small_data(folder)
    with suppress(StoppedError):
        train(stage, data, RECIPE, seed=seed, out=out, on_step=on_step, snapshot_seconds=0)


RECIPE: Recipe = recipe_for(
    "ladder", STAGE, batch_rows=8, max_steps=STEPS, epochs=99, log_every=2, validate_every=4,
    precision="float32",
)  # fmt: skip


def small_stage(d_vocab: int) -> Stage:
    """A stage with every kind of part, sixteen wide."""
    stage = get_stage(STAGE)
    config = dataclasses.replace(stage.config, d_vocab=d_vocab, n_ctx=WIDTH, d_model=16, d_mlp=32)
    return dataclasses.replace(stage, config=config)


def small_data(folder: Path) -> Data:
    """Rows of the small corpus."""
    tokenizer = characters(folder)

    def rows(split: str) -> Rows:
        return open_rows(
            open_corpus(folder / "txt" / "corpus", split=split), tokenizer, width=WIDTH
        )

    return Data(train=rows("train"), validation=rows("validation"), tokenizer=tokenizer)


def analyze_small(folder: Path, out: Path, name: str = "evolution") -> Result:
    """An analysis of the trained run on the small corpus."""
    return analyze_into(
        out, name, folder / "checkpoint" / "run", small_data(folder).validation, seed=0,
        progress=None, command="",
    )  # fmt: skip


@contextmanager
def cached_in(folder: Path) -> Iterator[None]:
    """Token rows are kept in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LT_INTERP_CACHE", str(folder))
        yield


@cache
def characters(folder: Path) -> CharacterTokenizer:
    """The characters of the small corpus."""
    corpus = open_corpus(folder / "txt" / "corpus", split="train")
    return build_character(corpus.stories(), corpus_sha256=corpus.sha256)


def _stories(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=14)) + "." for _ in range(count)]


def _corpora(folder: Path) -> None:
    """The same stories in every format."""
    for kind in ("txt", "jsonl", "parquet"):
        (folder / kind / "corpus").mkdir(parents=True)
    for split, stories in (("train", _stories(0, 14)), ("validation", _stories(1, 4))):
        text = "".join(f"{story}\n<|endoftext|>\n" for story in stories)
        (folder / "txt" / "corpus" / f"{split}.txt").write_text(text, encoding="utf-8")
        lines = "".join(json.dumps({"text": story, "n": 1.5}) + "\n" for story in stories)
        (folder / "jsonl" / "corpus" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        table = pyarrow.table({"text": stories, "n": list(range(len(stories)))})
        parquet.write_table(table, folder / "parquet" / "corpus" / f"{split}.parquet")


def _notebook_tokenizer(folder: Path) -> None:
    """What the article's notebook 00 writes."""
    shipped = load_tokenizer(trained_folder() / "tokenizers" / "tinystories-4096")
    ids = [shipped.bpe.id_of[token] for token in shipped.tokens[3:40]]  # type: ignore[attr-defined]
    table = {str(i): gpt2 for i, gpt2 in enumerate(ids, start=3)}
    (folder / "tokenizer").mkdir(parents=True)
    text = json.dumps({"vocab_size": 40, "compact_to_gpt2": table})
    (folder / "tokenizer" / "tokenizer.json").write_text(text)


def _pt_file(folder: Path, tokenizer: CharacterTokenizer) -> None:
    """A bigram's weights by the names of its notebook."""
    config = dataclasses.replace(get_stage(PT_STAGE).config, d_vocab=tokenizer.d_vocab, d_model=16)
    state = StageModel(config).state_dict()
    weights = {
        "embedding.weight": state["embed.W_E"],
        "unembed.weight": state["unembed.W_U"].T.contiguous(),
        "unembed.bias": state["unembed.b_U"],
    }
    folder.mkdir()
    torch.save({"model_state_dict": weights, "d_model": 16}, folder / "theirs.pt")
