"""The folder of a trained model, found and read without a neural network library."""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import Any

from lt_interp.errors import InputError
from lt_interp.files import read_json, trained_folder
from lt_interp.stages import FAMILIES

FORMAT_VERSION = 1
WEIGHTS, CONFIG, CARD, METRICS = "model.safetensors", "config.json", "run.json", "metrics.jsonl"
Shapes = dict[str, tuple[int, ...]]


def find_checkpoint(name: str | Path) -> Path:
    """The folder of a shipped checkpoint or of a path."""
    for folder in (Path(name), trained_folder() / name):
        if (folder / CONFIG).is_file():
            return folder
    if Path(name).is_dir():
        raise InputError(f"{name} is not a checkpoint: it has no {CONFIG}")
    if Path(name).is_file():
        raise InputError(
            f"{name} is a file, and a checkpoint is a folder; lt-interp convert makes one of a "
            "notebook's .pt file"
        )
    shipped = shipped_checkpoints()
    near = difflib.get_close_matches(str(name), shipped, n=3, cutoff=0.3) or shipped
    raise InputError(
        f"there is no checkpoint {str(name)!r}; nearest: {', '.join(near) or 'none is shipped'}"
        "; or name a folder"
    )


def shipped_checkpoints(*, family: str | None = None) -> list[str]:
    """Names of the checkpoints in the `trained` folder, of all families or of one."""
    folders = sorted(path.parent for path in trained_folder().glob(f"*/{CARD}"))
    return [
        folder.name
        for folder in folders
        if family is None or read_config(folder)["stage"] in FAMILIES[family]
    ]


def shipped_folder(name: str) -> Path:
    """Where something is in the `trained` folder: a checkpoint, or all `"tokenizers"`."""
    return trained_folder() / name


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint, its version checked."""
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or not {"format_version", "stage", "model"} <= set(config):
        raise InputError(f"{folder / CONFIG} lacks format_version, stage or model; restore it")
    if config["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{folder} has checkpoint format {config['format_version']}, this version reads "
            f"{FORMAT_VERSION}; install the lt_interp that wrote it"
        )
    return config


def read_card(folder: Path) -> dict[str, Any]:
    """The `run.json` of a checkpoint: what it was trained on, how, and how good it is.

    Of one that was converted from somebody's file none of this is on record: `converted_from` says
    which file, and those entries are `None`.
    """
    card = read_json(folder / CARD)
    needed = {"stage", "tokenizer", "corpus", "recipe", "seed", "tokens_seen", "val_loss_nats"}
    needed |= {"identity", "weights_sha256"}
    if not isinstance(card, dict) or not needed <= set(card):
        raise InputError(f"{folder / CARD} lacks one of {', '.join(sorted(needed))}; restore it")
    if not isinstance(card["tokenizer"], dict) or "sha256" not in card["tokenizer"]:
        raise InputError(f"{folder / CARD}: tokenizer lacks its sha256; restore the file")
    file = card.get("converted_from", {"file": "", "sha256": ""})
    if not isinstance(file, dict) or {type(file.get(key)) for key in ("file", "sha256")} != {str}:
        raise InputError(f"{folder / CARD}: converted_from lacks a file's name and sha256")
    loss = card["val_loss_nats"]
    unknown = loss is None and "converted_from" in card
    if not unknown and not (isinstance(loss, float) and math.isfinite(loss)):
        raise InputError(f"{folder / CARD}: val_loss_nats is not a finite number; restore the file")
    return card


def stored_shapes(folder: Path) -> Shapes:
    """Shapes of a checkpoint's weights, from the head of its file; no weight is read.

    Raises:
        InputError: The file is missing or is not a safetensors file.

    Source:
        The format: 8 bytes with the length of a JSON object that describes every tensor,
        https://huggingface.co/docs/safetensors
    """
    path = folder / WEIGHTS
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("the head is longer than the file")
            head = json.loads(file.read(size))
        return {
            name: tuple(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__"
        }
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; restore it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); restore it") from None
