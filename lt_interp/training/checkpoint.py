"""A trained model as a folder of safetensors and JSON: how it is stored and opened."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from lt_interp.corpus.tokenizer import Tokenizer, load_tokenizer, stored_sha256
from lt_interp.errors import InputError
from lt_interp.files import sha256_file, write_bytes, write_json
from lt_interp.model.config import ModelConfig
from lt_interp.model.device import find_device
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import file_in, place_in
from lt_interp.training.run_folder import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    WEIGHTS,
    find_checkpoint,
    read_card,
    read_config,
    shipped_folder,
    stored_shapes,
)

STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN, SHOWN_LETTERS = 10, 200  # of what is wrong with the names and shapes of weights


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


def load(
    name: str | Path, *, n_ctx: int | None = None, device: str | torch.device = "cpu"
) -> StageModel:
    """Open a trained stage.

    Args:
        name: The name of a shipped checkpoint, such as `"09_multi_head"`, or a folder.
        n_ctx: Tokens that it is to read at once, where they are more than it was trained on.
        device: Where it computes, such as `"cuda"`, or `"auto"`: see `find_device`.

    Returns:
        The model in float32 and eval mode, with the tokenizer it was trained with.

    Raises:
        InputError: There is no such checkpoint, its files are damaged or do not fit together, it
            cannot read as much as `n_ctx`, or there is no such device.
    """
    place = find_device(device)
    folder = find_checkpoint(name)
    stored = read_config(folder)
    card = read_card(folder)
    config = ModelConfig.from_dict(stored["model"])
    trained = ModelConfig.from_dict(card["identity"].get("model"))
    if (stored["stage"], config) != (card["stage"], trained):
        raise InputError(f"{folder / CONFIG} is not the one that {CARD} describes; restore it")
    require_fitting(config, folder)
    if sha256_file(file_in(folder, WEIGHTS)) != card["weights_sha256"]:
        raise InputError(f"{folder / WEIGHTS} is not the file that {CARD} describes; restore it")
    config = config.lengthened(config.n_ctx if n_ctx is None else n_ctx)
    tokenizer = find_tokenizer(folder, card["tokenizer"]["sha256"])
    model = StageModel(config, tokenizer=tokenizer, name=stored["stage"])
    load_weights(model, folder)
    return model.to(place)


def load_weights(model: StageModel, folder: Path) -> None:
    """Put a folder's stored weights, which must fit it, into a model, as float32."""
    path = file_in(folder, WEIGHTS)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); restore it") from None
    weights = {k: t.float() for k, t in tensors.items() if t.dtype in STORED}
    bad = {k for k in tensors if k not in weights or not weights[k].isfinite().all()}
    if bad:
        raise InputError(f"{path} has in {', '.join(sorted(bad))}: no finite numbers; restore it")
    model.load_state_dict(weights)


def require_fitting(config: ModelConfig, folder: Path) -> None:
    """Refuse weights of other names and shapes than a model's, before memory is taken for any.

    Raises:
        InputError: See above; the message lists what differs.
    """
    found = stored_shapes(folder)
    # what no stored weight has the size of needs no model to be built for
    largest = max((size for shape in found.values() if 0 not in shape for size in shape), default=0)
    n_experts = config.experts.count if config.experts else 0
    n_positions = config.n_ctx if config.embeds_positions else 0
    sizes = (config.d_vocab, config.d_model, config.d_mlp, config.depth, config.window, n_experts,
             n_positions)  # fmt: skip
    if max(sizes) > max(largest, len(found)):
        raise InputError(
            f"{folder / CONFIG} describes {max(sizes):,} of something, and {WEIGHTS} has at most "
            f"{largest:,}; restore both"
        )
    with torch.device("meta"):
        model = StageModel(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    wrong = [f"missing {name}" for name in wanted.keys() - found.keys()]
    wrong += [f"unexpected {name}" for name in found.keys() - wanted.keys()]
    for name in wanted.keys() & found.keys():
        if found[name] != wanted[name]:
            wrong.append(f"{name} {list(found[name])} not {list(wanted[name])}")
    if wrong:
        listed = "; ".join(name[:SHOWN_LETTERS] for name in sorted(wrong)[:SHOWN])
        raise InputError(f"{folder / WEIGHTS} does not fit its config: {listed}")


def is_shipped(tokenizer_sha256: str) -> bool:
    """Whether a tokenizer is one of those in the `trained` folder."""
    return any(stored_sha256(folder) == tokenizer_sha256 for folder in _shipped_tokenizers())


def _shipped_tokenizers() -> list[Path]:
    return sorted(shipped_folder("tokenizers").glob("*"))


def find_tokenizer(folder: Path, sha256: str) -> Tokenizer:
    """The tokenizer a checkpoint was trained with: in its own folder, or among the shipped ones."""
    own = [place] if (place := place_in(folder, "tokenizer")).is_dir() else []
    for place in (*own, *_shipped_tokenizers()):
        if stored_sha256(place) == sha256:
            return load_tokenizer(place)
    raise InputError(
        f"{folder} needs a tokenizer with sha256 {sha256[:12]}... that is not shipped; "
        "put its folder there as `tokenizer`"
    )
