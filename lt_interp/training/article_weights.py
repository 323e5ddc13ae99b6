"""A notebook's weights as a stage's: sizes read off, every key and shape checked, axes arranged."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.stages import LADDER, Stage
from lt_interp.training.article_keys import Source, embedding_keys, mask_keys, sources
from lt_interp.training.pt_file import PtFile

# What a notebook writes beside the weights, and what it must agree with.
_SIZES = {
    "vocab_size": "d_vocab", "d_model": "d_model", "d_ff": "d_mlp", "n_layers": "depth",
    "n_heads": "n_heads", "max_seq_len": "n_ctx",
}  # fmt: skip


def fitted_config(stage: Stage, file: PtFile, *, d_vocab: int, eos_id: int) -> ModelConfig:
    """A stage's parts with the widths that a file's tensors have.

    How many blocks, heads and experts there are is the stage's to say: weights do not show heads.

    Args:
        stage: The stage.
        file: The checkpoint.
        d_vocab: Ids of the tokenizer that belongs to it.
        eos_id: Of that tokenizer.

    Raises:
        InputError: The file's vocabulary is not the tokenizer's, or the widths fit no model.
    """
    own, tensors = stage.config, file.tensors
    tables = [tensors[key] for key in embedding_keys(own) if key in tensors]
    _check_vocabulary(file, tables, d_vocab)
    widths = [_size(table, 1) for table in tables]
    widths += [_size(tensors.get("position_embedding.weight"), 1)]
    widths += [(_size(tensors.get("unembed.weight"), 1) or 0) // own.window]
    d_model = next(iter(Counter(filter(None, widths)).most_common(1)), (own.d_model,))[0]
    wide = [_size(t, 0) for key, t in tensors.items() if key.endswith("linear1.weight")]
    d_mlp = (next(filter(None, wide), None) or own.d_mlp) if own.d_mlp else 0
    sizes: dict[str, Any] = {
        "d_vocab": d_vocab,
        "d_model": d_model,
        "d_mlp": d_mlp,
        "n_ctx": _n_ctx(own, file),
    }
    try:
        return dataclasses.replace(own, eos_id=eos_id, **sizes)
    except InputError as error:
        raise InputError(f"{file.name} does not fit {stage.id}: {error}") from None


def stage_weights(stage: Stage, file: PtFile, config: ModelConfig) -> dict[str, Tensor]:
    """Every weight of a model under our names, with our axes, in float32.

    Args:
        stage: The stage that the file is said to be.
        file: The checkpoint.
        config: From `fitted_config`.

    Raises:
        InputError: A key is missing, unexpected or given twice, or a tensor has the wrong shape,
            is not of finite floating-point numbers or is no causal mask. The message lists all.
    """
    wrong = problems(file, config)
    if wrong:
        others = also_fits(stage, file)
        hint = f"; it would fit {' or '.join(others)}" if others else ""
        raise InputError(f"{file.name} does not fit {stage.id}: {'; '.join(wrong)}{hint}")
    return {
        source.ours: source.arrange(file.tensors[_found(source, file)[0]].detach().float())
        for source in sources(config)
    }


def also_fits(stage: Stage, file: PtFile) -> list[str]:
    """Other stages that the same file fits: nothing in it tells them apart."""
    return [one.id for one in LADDER.values() if one is not stage and _fits(one, file)]


def ignored_keys(file: PtFile, config: ModelConfig) -> list[str]:
    """Keys of a file that hold no weight: causal masks."""
    return [key for key in mask_keys(config) if key in file.tensors]


def problems(file: PtFile, config: ModelConfig) -> list[str]:
    """Everything that keeps a file from being this model, in words."""
    wanted = sources(config)
    known = {key for source in wanted for key in source.theirs} | {*mask_keys(config)}
    wrong = []
    for name, field in _SIZES.items():
        told, have = file.sizes.get(name), getattr(config, field)
        if told is not None and have and told != have:
            wrong.append(f"it says {name} {told} where the stage has {have}")
    told = file.sizes.get("n_experts")
    if told is not None and config.experts and told != config.experts.count:
        wrong.append(f"it says n_experts {told} where the stage has {config.experts.count}")
    wrong += [f"missing {source.theirs[0]}" for source in wanted if not _found(source, file)]
    wrong += [f"unexpected {key}" for key in file.tensors if key not in known]
    for source in wanted:
        wrong += _tensor_problems(source, file)
    masks = ignored_keys(file, config)
    wrong += [
        f"{key} is not a causal mask of {config.n_ctx} positions"
        for key in masks
        if not _is_causal(file.tensors[key], config.n_ctx)
    ]
    return wrong


def _tensor_problems(source: Source, file: PtFile) -> list[str]:
    found = _found(source, file)
    if len(found) > 1:
        return [f"given twice: {' and '.join(found)}"]
    return [
        f"{key} {what}"
        for key in found
        for what in [_wrong_with(file.tensors[key], source.shape)]
        if what
    ]


READABLE = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def _wrong_with(tensor: Tensor, shape: tuple[int, ...]) -> str | None:
    """What is wrong with a tensor; `None` for an ordinary one of that shape."""
    if tuple(tensor.shape) != shape:
        return f"has shape {list(tensor.shape)}, not {list(shape)}"
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return "is not a dense tensor with values"
    if tensor.dtype not in READABLE:
        return f"holds {str(tensor.dtype).removeprefix('torch.')}, not floating-point numbers"
    if _inflated(tensor):
        return "is larger than what is stored of it"
    if not tensor.float().isfinite().all():
        return "is not finite in float32"
    return None


def _inflated(tensor: Tensor) -> bool:
    """Whether a few stored numbers are declared a larger tensor, which copying would then fill."""
    return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()


def _is_causal(mask: Tensor, n_ctx: int) -> bool:
    """Whether a mask hides, or shows the rest of, exactly what lies after each position."""
    if tuple(mask.shape[-2:]) != (n_ctx, n_ctx) or mask.numel() != n_ctx**2 or _inflated(mask):
        return False
    shown = mask.reshape(n_ctx, n_ctx).bool()
    future = torch.ones(n_ctx, n_ctx, dtype=torch.bool).triu(diagonal=1)
    return torch.equal(shown, future) or torch.equal(shown, ~future)


def _fits(stage: Stage, file: PtFile) -> bool:
    """Whether a file could be that stage, whatever its tokenizer."""
    rows = _size(_first(file.tensors, embedding_keys(stage.config)), 0)
    if rows is None or rows <= stage.config.eos_id:
        return False
    try:
        config = fitted_config(stage, file, d_vocab=rows, eos_id=stage.config.eos_id)
    except InputError:
        return False
    return not problems(file, config)


def _check_vocabulary(file: PtFile, tables: list[Tensor], d_vocab: int) -> None:
    """Refuse a vocabulary that all tensors agree on and the tokenizer does not."""
    ends = [file.tensors.get(f"unembed.{part}") for part in ("weight", "bias")]
    rows = {_size(table, 0) for table in (*tables, *ends)} - {None}
    if len(rows) == 1 and rows != {d_vocab}:
        raise InputError(
            f"{file.name} has a vocabulary of {rows.pop():,} ids and the tokenizer {d_vocab:,}; "
            "name the tokenizer it was trained with (--tokenizer)"
        )


def _n_ctx(own: ModelConfig, file: PtFile) -> int:
    """The context: rows of the position table, else of a mask, else what the file says."""
    table = file.tensors.get("position_embedding.weight") if own.positions else None
    mask = _first(file.tensors, mask_keys(own))
    side = None if mask is None or mask.ndim < 2 else mask.shape[-1]
    return _size(table, 0) or side or file.sizes.get("max_seq_len") or own.n_ctx


def _size(tensor: Tensor | None, axis: int) -> int | None:
    """The length of an axis, if there is such an axis."""
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else None


def _first(tensors: Mapping[str, Tensor], keys: tuple[str, ...] | list[str]) -> Tensor | None:
    return next((tensors[key] for key in keys if key in tensors), None)


def _found(source: Source, file: PtFile) -> list[str]:
    return [key for key in source.theirs if key in file.tensors]
