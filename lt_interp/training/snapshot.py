"""Everything a run needs to go on after an interruption, in one file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.files import write_bytes
from lt_interp.model.finite import weight_not_finite
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import file_in, parse_json
from lt_interp.training.optimizer import optimizer_tensors, restore_optimizers

SNAPSHOT = "snapshot.safetensors"
LARGEST_SHARE = 16  # bytes a parameter: of the weight itself, and of what AdamW remembers of it
LARGEST_HEAD = 2**20  # bytes of names and of what else stands beside the tensors


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Optimizer steps done.
        seconds: Time spent, over all interruptions.
    """

    step: int = 0
    seconds: float = 0.0


def save_snapshot(
    folder: Path,
    model: StageModel,
    optimizers: list[torch.optim.Optimizer],
    progress: Progress,
    identity: dict[str, Any],
) -> None:
    """Replace the folder's snapshot."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"optim/{k}": t for k, t in optimizer_tensors(model, optimizers).items()}
    metadata = {
        "identity": json.dumps(identity, sort_keys=True),
        "step": str(progress.step),
        "seconds": repr(progress.seconds),
    }
    metadata["sha256"] = _sha256(tensors, metadata)
    write_bytes(folder / SNAPSHOT, save(tensors, metadata))


def load_snapshot(
    folder: Path,
    model: StageModel,
    optimizers: list[torch.optim.Optimizer],
    identity: dict[str, Any],
) -> Progress:
    """Put a model and its optimizers where the folder's snapshot left them.

    Returns:
        How far that is; the start where there is no snapshot.

    Raises:
        InputError: The snapshot is of another run, or damaged.
    """
    path = file_in(folder, SNAPSHOT)
    if not path.exists():
        return Progress()
    n_parameters = sum(param.numel() for param in model.parameters())
    if path.stat().st_size > LARGEST_SHARE * n_parameters + LARGEST_HEAD:
        raise InputError(f"{path} is larger than this run's snapshots; delete it to start over")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found, progress = parse_json(metadata["identity"]), _progress(metadata)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, MemoryError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it to start over") from None
    if not isinstance(found, dict) or metadata.pop("sha256", None) != _sha256(tensors, metadata):
        raise InputError(f"{path} is damaged: its hash is another; delete it to start over")
    refuse_other_run(folder, found, identity)
    weights = {k.removeprefix("model/"): t for k, t in tensors.items() if k.startswith("model/")}
    state = {k.removeprefix("optim/"): t for k, t in tensors.items() if k.startswith("optim/")}
    try:
        model.load_state_dict(weights)
        restore_optimizers(model, optimizers, state)
    except (RuntimeError, ValueError):
        raise InputError(
            f"{path} does not hold this run's weights; delete it to start over"
        ) from None
    if weight := weight_not_finite(model):
        raise InputError(f"{path} holds NaN or infinity in {weight}; delete it to start over")
    return progress


def _progress(metadata: dict[str, str]) -> Progress:
    return Progress(step=int(metadata["step"]), seconds=float(metadata["seconds"]))


def _sha256(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Of every tensor and its name, and of how far the run is."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        flat = tensors[name].detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def refuse_other_run(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise `InputError` if a folder belongs to a run with other settings, naming them."""
    differing = _differing(found, wanted)
    if differing:
        raise InputError(
            f"{folder} holds another run (it differs in {', '.join(differing)}); "
            "choose another --out, or delete the folder to start over"
        )


def _differing(found: dict[str, Any], wanted: dict[str, Any], within: str = "") -> list[str]:
    """What two settings differ in, with both values, settings of settings one by one."""
    told = []
    for key in sorted(found.keys() | wanted.keys()):
        there, now = found.get(key), wanted.get(key)
        if isinstance(there, dict) and isinstance(now, dict):
            told += _differing(there, now, f"{within}{key}.")
        elif there != now:
            hint = ", set by OMP_NUM_THREADS" if key == "threads" else ""
            told.append(f"{within}{key}: {there} there, {now} now{hint}")
    return told
