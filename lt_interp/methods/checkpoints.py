"""The trained checkpoints that an analysis reads, in the ladder's order, and its provenance."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import WEIGHTS, find_checkpoint, load, read_card

_VERSIONED = ("lt-interp", "torch", "transformer-lens", "tokenizers", "numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained checkpoint on disk, its model not yet opened.

    Attributes:
        name: Name of its folder, such as `"10_moe"` or `"10_moe-seed1"`.
        folder: Where it is.
        card: Its `run.json`.
    """

    name: str
    folder: Path
    card: dict[str, Any] = field(repr=False)

    @property
    def stage(self) -> str:
        """The id of its stage."""
        return self.card["stage"]

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.card["seed"]

    @property
    def adds(self) -> str:
        """What its stage adds to the one before; empty for a stage that is not on the ladder."""
        return STAGES[self.stage].adds if self.stage in STAGES else ""

    def load(self) -> StageModel:
        """Open the model."""
        return load(self.folder)


def find_checkpoints(names: Sequence[str | Path]) -> list[Checkpoint]:
    """Find checkpoints and put them in the order of the ladder, then of their seeds.

    Args:
        names: Names of shipped checkpoints, or folders.

    Raises:
        InputError: None is named, one does not exist, or two have one name.
    """
    if not names:
        raise InputError("no checkpoint is named; name a stage, such as 09_multi_head, or a folder")
    found = []
    for name in names:
        folder = find_checkpoint(name)
        found.append(Checkpoint(name=folder.resolve().name, folder=folder, card=read_card(folder)))
    twice = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    if twice:
        raise InputError(f"two checkpoints are named {', '.join(sorted(twice))}; rename a folder")
    order = {stage: place for place, stage in enumerate(STAGES)}
    return sorted(found, key=lambda c: (order.get(c.stage, len(order)), c.seed, c.name))


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
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONED}
        | {"python": platform.python_version()},
        "command": command,
        "made_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "notes": notes,
    }


def _model(checkpoint: Checkpoint) -> dict[str, Any]:
    """Which weights they are and how they came about; the hash is of the file as it is now."""
    kept = ("stage", "seed", "tokens_seen", "recipe", "val_loss_nats")
    card = {key: checkpoint.card[key] for key in kept}
    trained_on = {key: checkpoint.card["corpus"][key] for key in ("name", "split", "sha256")}
    weights = sha256_file(checkpoint.folder / WEIGHTS)
    return {**card, "trained_on": trained_on, "weights_sha256": weights}
