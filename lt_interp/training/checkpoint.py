"""A trained model as a folder of safetensors and JSON, and how it is found and opened."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from lt_interp.corpus.tokenizer import Tokenizer, load_tokenizer, stored_sha256
from lt_interp.errors import InputError
from lt_interp.files import read_json, sha256_file, trained_folder, write_bytes, write_json
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import FAMILIES

FORMAT_VERSION = 1
WEIGHTS, CONFIG, CARD, METRICS = "model.safetensors", "config.json", "run.json", "metrics.jsonl"


def save_weights(model: StageModel, folder: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a model's weights and its config.

    Args:
        model: The model.
        folder: Where.
        dtype: What is stored: half precision of what is trained here, float32 of what was trained
            elsewhere and must not be rounded.

    Raises:
        InputError: A weight is not finite in that type.
    """
    tensors = {name: t.detach().to(dtype).contiguous() for name, t in model.state_dict().items()}
    type_name = str(dtype).removeprefix("torch.")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"the weight {name} is not finite in {type_name}; it cannot be stored")
    config = {"format_version": FORMAT_VERSION, "stage": model.cfg.model_name}
    write_json(folder / CONFIG, {**config, "model": model.config.to_dict()})
    write_bytes(folder / WEIGHTS, save(tensors))


def load(name: str | Path, *, n_ctx: int | None = None) -> StageModel:
    """Open a trained stage.

    Args:
        name: The name of a shipped checkpoint, such as `"09_multi_head"`, or a folder.
        n_ctx: Tokens that it is to read at once, where they are more than it was trained on.

    Returns:
        The model in float32 and eval mode, with the tokenizer it was trained with.

    Raises:
        InputError: There is no such checkpoint, its files are damaged or do not fit together, or
            it cannot read as much as `n_ctx`.
    """
    folder = find_checkpoint(name)
    stored = read_config(folder)
    card = read_card(folder)
    config = ModelConfig.from_dict(stored["model"])
    config = config.lengthened(n_ctx or config.n_ctx)
    tokenizer = find_tokenizer(folder, card["tokenizer"]["sha256"])
    model = StageModel(config, tokenizer=tokenizer, name=stored["stage"])
    load_weights(model, folder)
    if sha256_file(folder / WEIGHTS) != card["weights_sha256"]:
        raise InputError(f"{folder / WEIGHTS} is not the file that {CARD} describes; restore it")
    return model


def load_weights(model: StageModel, folder: Path) -> None:
    """Put a folder's stored weights into a model, as float32."""
    tensors = _read_tensors(folder / WEIGHTS, model)
    model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})


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


def is_shipped(tokenizer_sha256: str) -> bool:
    """Whether a tokenizer is one of those in the `trained` folder."""
    return any(stored_sha256(folder) == tokenizer_sha256 for folder in _shipped_tokenizers())


def _shipped_tokenizers() -> list[Path]:
    return sorted((trained_folder() / "tokenizers").glob("*"))


def find_tokenizer(folder: Path, sha256: str) -> Tokenizer:
    """The tokenizer a checkpoint was trained with: in its own folder, or among the shipped ones."""
    own = [folder / "tokenizer"] if (folder / "tokenizer").is_dir() else []
    for place in (*own, *_shipped_tokenizers()):
        if stored_sha256(place) == sha256:
            return load_tokenizer(place)
    raise InputError(
        f"{folder} needs a tokenizer with sha256 {sha256[:12]}... that is not shipped; "
        "put its folder there as `tokenizer`"
    )


def _read_tensors(path: Path, model: StageModel) -> dict[str, torch.Tensor]:
    """Weights that fit the model in name, shape and type, all of them finite."""
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; restore it") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); restore it") from None
    wanted = model.state_dict()
    wrong = [f"missing {name}" for name in wanted.keys() - tensors.keys()]
    wrong += [f"unexpected {name}" for name in tensors.keys() - wanted.keys()]
    for name in wanted.keys() & tensors.keys():
        if tensors[name].shape != wanted[name].shape:
            wrong.append(f"{name} {list(tensors[name].shape)} not {list(wanted[name].shape)}")
        elif not (tensors[name].is_floating_point() and tensors[name].isfinite().all()):
            wrong.append(f"{name} is not finite")
    if wrong:
        raise InputError(f"{path} does not fit its config: {'; '.join(sorted(wrong))}")
    return tensors
