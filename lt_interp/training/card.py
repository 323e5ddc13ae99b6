"""What a run is (its identity) and what came of it (its card, `run.json`)."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.files import sha256_file, write_json
from lt_interp.model.device import multiplies_bfloat16
from lt_interp.stages import Stage
from lt_interp.training.recipe import Recipe
from lt_interp.training.run_folder import CARD, FORMAT_VERSION, WEIGHTS

_VERSIONED = ("lt-interp", "torch", "transformer-lens", "tokenizers", "numpy")


def identity_of(
    stage: Stage,
    train: Rows,
    validation: Rows,
    tokenizer: Tokenizer,
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Everything that decides the bits of a run; a folder is resumed only under the same."""
    return {
        **({} if device.type == "cpu" else {"device": torch.cuda.get_device_name(device)}),
        "stage": stage.id,
        "model": stage.config.to_dict(),
        "recipe": recipe.to_dict(),
        "seed": seed,
        "precision": precision_of(recipe, device),
        "threads": torch.get_num_threads(),  # sums are split among them, which moves last bits
        "corpus_sha256": train.corpus_sha256,
        "validation_sha256": validation.corpus_sha256,
        "tokenizer_sha256": tokenizer.sha256,
    }


def precision_of(recipe: Recipe, device: torch.device) -> str:
    """`"bfloat16"` where the recipe allows it and the device multiplies it, else `"float32"`."""
    fast = recipe.precision == "auto" and multiplies_bfloat16(device)
    return "bfloat16" if fast else "float32"


def write_card(
    out: Path,
    *,
    identity: dict[str, Any],
    train: Rows,
    validation: Rows,
    tokenizer: Tokenizer,
    last_line: dict[str, Any],
    seconds: float,
    val_loss_nats: float,
) -> None:
    """Write `run.json`; its presence says that the run is complete."""
    card = {
        "format_version": FORMAT_VERSION,
        "stage": identity["stage"],
        "recipe": identity["recipe"]["name"],
        "seed": identity["seed"],
        "steps": last_line["step"],
        "tokens_seen": last_line["tokens_seen"],
        "seconds": round(seconds, 1),
        "val_loss_nats": val_loss_nats,
        "val_loss_of": "the stored float16 weights, every position of the validation rows",
        "corpus": _rows_card(train),
        "validation": _rows_card(validation),
        **_stored(out, tokenizer),
        "identity": identity,
    }
    write_json(out / CARD, card)


def write_converted_card(
    out: Path,
    *,
    stage: str,
    model: dict[str, Any],
    tokenizer: Tokenizer,
    tokenizer_was_named: bool,
    converted_from: dict[str, Any],
) -> None:
    """Write the `run.json` of somebody's checkpoint: how it was trained is not on record.

    Args:
        out: The folder, its weights written already.
        stage: What it was said to be.
        model: Its config.
        tokenizer: What is stored with it.
        tokenizer_was_named: Whether its user named it; if not, that it fits is an assumption.
        converted_from: Which file, its sha256, and what was done to it.
    """
    rows = dict.fromkeys(("name", "split", "sha256", "n_stories", "n_rows"))
    unknown = ("recipe", "seed", "steps", "tokens_seen", "seconds", "val_loss_nats", "val_loss_of")
    stored = _stored(out, tokenizer)
    stored["tokenizer"]["named_by_user"] = tokenizer_was_named
    card = {
        "format_version": FORMAT_VERSION,
        "stage": stage,
        "converted_from": converted_from,
        **dict.fromkeys(unknown),
        "corpus": rows,
        "validation": rows,
        **stored,
        "identity": {
            "stage": stage,
            "model": model,
            "converted_from_sha256": converted_from["sha256"],
            "tokenizer_sha256": tokenizer.sha256,
        },
    }
    write_json(out / CARD, card)


def _stored(out: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """What lies in the folder, and what wrote it."""
    return {
        "tokenizer": {
            "kind": tokenizer.kind,
            "d_vocab": tokenizer.d_vocab,
            "sha256": tokenizer.sha256,
        },
        "weights_sha256": sha256_file(out / WEIGHTS),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONED}
        | {"python": platform.python_version()},
        "commit": _commit(),
    }


def _rows_card(rows: Rows) -> dict[str, Any]:
    return {
        "name": rows.corpus_name,
        "split": rows.corpus_split,
        "sha256": rows.corpus_sha256,
        "n_stories": rows.n_stories,
        "n_rows": rows.n_rows,
    }


def _commit() -> str | None:
    """The commit of the checkout this runs from, `-dirty` if the package differs from it.

    `None` for an installed package, also inside somebody's own repository.
    """
    package = Path(__file__).resolve().parents[1]
    try:
        if Path(_git(package, "rev-parse", "--show-toplevel")) != package.parent:
            return None
        commit = _git(package, "rev-parse", "HEAD")
        return commit + ("-dirty" if _git(package, "status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    result = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()
