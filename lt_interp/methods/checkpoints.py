"""The models that an analysis reads, in the order of the stages, and its provenance."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.files import sha256_file, shown
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import file_in
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import load
from lt_interp.training.run_folder import (
    WEIGHTS,
    find_checkpoint,
    read_card,
    read_config,
    stored_shapes,
)

# What a result repeats of a checkpoint's card.
_CARD = ("stage", "seed", "tokens_seen", "recipe", "val_loss_nats")
_TRAINED_ON = ("name", "split", "sha256")
_VERSIONED = ("lt-interp", "torch", "transformer-lens", "tokenizers", "numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model that an analysis reads: a folder not yet opened, or a model in memory.

    Attributes:
        name: Name of its folder, such as `"10_moe"` or `"10_moe-seed1"`; `model.cfg.model_name` of
            a model in memory.
        folder: Where it is; `None` in memory.
        card: Its `run.json`; in memory only its stage is known.
        model: The model in memory.
        device: Where one that is opened computes.
    """

    name: str
    folder: Path | None
    card: dict[str, Any] = field(repr=False)
    model: StageModel | None = field(default=None, repr=False)
    device: str = "cpu"

    @property
    def stage(self) -> str:
        """The id of its stage."""
        return self.card["stage"]

    @property
    def seed(self) -> int | None:
        """Of its training; `None` where that is not on record."""
        return self.card["seed"]

    @property
    def adds(self) -> str:
        """What its stage adds to the one before; empty for a stage that is none of ours."""
        return STAGES[self.stage].adds if self.stage in STAGES else ""

    @property
    def family(self) -> str:
        """Whose article its stage is from; empty likewise."""
        return STAGES[self.stage].family if self.stage in STAGES else ""

    @cached_property
    def config(self) -> ModelConfig:
        """What it is built from, read without opening the weights."""
        if self.folder is None:
            return self.load().config
        return ModelConfig.from_dict(read_config(self.folder)["model"])

    @cached_property
    def weights_sha256(self) -> str:
        """Of the stored file as it is now; in memory, of every tensor."""
        if self.folder is not None:
            stored_shapes(self.folder)  # refuses what would take an hour to be read
            return sha256_file(file_in(self.folder, WEIGHTS))
        digest = hashlib.sha256()
        for name, tensor in self.load().state_dict().items():
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def load(self) -> StageModel:
        """Open the model."""
        if self.model is not None:
            return self.model
        assert self.folder is not None
        return load(self.folder, device=self.device)


Models = StageModel | Checkpoint | str | Path | Sequence[StageModel | Checkpoint | str | Path]
"""What an analysis is asked about: names of shipped checkpoints, folders, models in memory."""


def untrained(model: StageModel, *, seed: int) -> StageModel:
    """The same architecture with PyTorch's default random weights: what training is compared to."""
    name = str(model.cfg.model_name)
    fresh = StageModel(model.config, tokenizer=model.tokenizer, name=name, seed=seed)
    return fresh.to(model.W_U.device)


def find_checkpoints(models: Models) -> list[Checkpoint]:
    """Find checkpoints and put them in the order of the ladder, then of their seeds.

    One that was converted from somebody's file has no seed on record and stands behind the others.

    Args:
        models: Names of shipped checkpoints, folders, or models in memory; one or several. What
            this returned before is taken as it is.

    Raises:
        InputError: None is named, one does not exist, or two have one name.
    """
    several = [models] if isinstance(models, str | Path | StageModel | Checkpoint) else models
    found = [_find(model) for model in several]
    if not found:
        raise InputError("no checkpoint is named; name a stage, such as 09_multi_head, or a folder")
    twice = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    if twice:
        raise InputError(f"two checkpoints are named {', '.join(sorted(twice))}; rename one")
    order = {stage: place for place, stage in enumerate(STAGES)}
    # of several runs of a stage, those whose seed is on record come first
    return sorted(
        found,
        key=lambda c: (order.get(c.stage, len(order)), c.seed is None, c.seed or 0, c.name),
    )


def _find(model: str | Path | StageModel | Checkpoint) -> Checkpoint:
    if isinstance(model, Checkpoint):
        return model
    if isinstance(model, StageModel):
        name = str(model.cfg.model_name)
        card = {**dict.fromkeys(_CARD), "stage": name, "corpus": dict.fromkeys(_TRAINED_ON)}
        return Checkpoint(name=name, folder=None, card=card, model=model)
    folder = find_checkpoint(model)
    return Checkpoint(name=shown(folder.resolve().name), folder=folder, card=read_card(folder))


def one_a_stage(checkpoints: Sequence[Checkpoint]) -> dict[str, Checkpoint]:
    """The first checkpoint of each stage: the one with the lowest seed."""
    first: dict[str, Checkpoint] = {}
    for checkpoint in checkpoints:
        first.setdefault(checkpoint.stage, checkpoint)
    return first


def provenance(
    checkpoints: Sequence[Checkpoint],
    rows: Rows,
    *,
    seed: int,
    command: str,
    notes: dict[str, Any],
) -> dict[str, Any]:
    """What a result was made from, as its `meta`.

    Args:
        checkpoints: The models.
        rows: The token rows.
        seed: Of the analysis.
        command: What repeats it.
        notes: Choices of the analysis that its page states.
    """
    return {
        "seed": seed,
        "corpus": {
            "name": rows.corpus_name,
            "split": rows.corpus_split,
            "sha256": rows.corpus_sha256,
            "n_stories": rows.n_stories,
            "n_rows": rows.n_rows,
        },
        "models": {checkpoint.name: _model(checkpoint) for checkpoint in checkpoints},
        "versions": versions(),
        "command": command,
        "made_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "notes": notes,
    }


def versions() -> dict[str, str]:
    """Of what a number can depend on."""
    installed = {name: importlib.metadata.version(name) for name in _VERSIONED}
    return installed | {"python": platform.python_version()}


def _model(checkpoint: Checkpoint) -> dict[str, Any]:
    """Which weights they are and how they came about, or from which file they were converted."""
    card = {key: checkpoint.card[key] for key in _CARD}
    trained_on = {key: checkpoint.card["corpus"][key] for key in _TRAINED_ON}
    file = checkpoint.card.get("converted_from")
    origin = {"converted_from": {key: file[key] for key in ("file", "sha256")}} if file else {}
    return {**card, **origin, "trained_on": trained_on, "weights_sha256": checkpoint.weights_sha256}
