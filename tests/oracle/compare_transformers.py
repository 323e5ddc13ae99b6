"""Ours beside plain `transformers`, on folders written by `export --format hf`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lt_interp.export.folder import export, why_not_hugging_face
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER
from lt_interp.training.checkpoint import load

from .compare import TOLERANCE, difference, run_theirs

THEIRS = Path(__file__).with_name("theirs_transformers.py")
EXPORTED = [s.id for s in LADDER.values() if not why_not_hugging_face(s.config)]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What came of one stage.

    Attributes:
        name: The stage's id.
        architecture: The class of transformers that opened it.
        logits: The largest absolute difference of logits.
        same_tokens: Whether its tokenizer cut every story as ours does.
        same_text: Whether its pipeline, taking the likeliest token, wrote what ours writes.
    """

    name: str
    architecture: str
    logits: float
    same_tokens: bool
    same_text: bool

    @property
    def agrees(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        return self.logits <= TOLERANCE and self.same_tokens and self.same_text


def compare_transformers(python: Path, stories: Sequence[str]) -> list[Opened]:
    """Export every stage that transformers can hold, and run it there and here."""
    models = [load(name) for name in EXPORTED]
    with tempfile.TemporaryDirectory(prefix="lt-interp-oracle-") as name:
        folders = [Path(name, stage) for stage in EXPORTED]
        for model, folder in zip(models, folders, strict=True):
            export(model, format="hf", out=folder)
            (folder / "stories.json").write_text(json.dumps(stories), encoding="utf-8")
        run_theirs(python, THEIRS, *folders)
        return [_opened(model, folder) for model, folder in zip(models, folders, strict=True)]


def _opened(model: StageModel, folder: Path) -> Opened:
    stories = json.loads((folder / "stories.json").read_text(encoding="utf-8"))
    theirs = json.loads((folder / "opened.json").read_text(encoding="utf-8"))
    logits = load_file(folder / "logits.safetensors")
    rows = [model.to_tokens(story) for story in stories]
    with torch.no_grad():
        apart = [difference(model(row), logits[str(i)]) for i, row in enumerate(rows)]
    return Opened(
        name=model.cfg.model_name,
        architecture=theirs["class"],
        logits=max(apart),
        same_tokens=[row[0].tolist() for row in rows] == theirs["ids"],
        same_text=_greedy(model, theirs["prompt"]) == theirs["text"],
    )


def _greedy(model: StageModel, prompt: str) -> str:
    """The likeliest continuation up to the end of the context, without a final `<eos>`."""
    tokens = model.to_tokens(prompt)
    said: Tensor = model.generate(tokens, model.cfg.n_ctx - tokens.shape[1], temperature=0)
    tokenizer = model.tokenizer
    assert tokenizer is not None
    ids = said[0].tolist()
    return tokenizer.decode(ids[:-1] if ids[-1] == tokenizer.eos_id else ids)
