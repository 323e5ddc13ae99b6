"""Somebody's PyTorch checkpoint of the article's notebooks as a checkpoint folder of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lt_interp.corpus.tokenizer import Tokenizer, default_tokenizer
from lt_interp.errors import InputError
from lt_interp.files import new_folder, require_empty
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER, Stage, get_stage
from lt_interp.training.article_weights import (
    also_fits,
    fitted_config,
    ignored_keys,
    stage_weights,
)
from lt_interp.training.card import write_converted_card
from lt_interp.training.checkpoint import is_shipped, save_weights
from lt_interp.training.pt_file import PtFile, read_pt


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of a file.

    Attributes:
        model: The model as stored.
        file: What was read.
        ignored: Keys that hold no weight.
        also_fits: Other stages that the file fits as well; only its owner knows which it is.
        rounded: Whether wider numbers were rounded to float32.
    """

    model: StageModel
    file: PtFile
    ignored: list[str]
    also_fits: list[str]
    rounded: bool


def convert(
    path: str | Path, stage: str, *, out: str | Path, tokenizer: Tokenizer | None = None
) -> Conversion:
    """Read a checkpoint of the article's notebooks and write a folder that `load` opens.

    The weights are stored as float32, so narrower ones keep every bit. An n-gram of the notebooks
    makes no prediction before its window is full; ours makes one there, with `<eos>` for what is
    missing.

    Args:
        path: A `.pt` file: a state dict, or a dict with one under `model_state_dict`,
            `state_dict` or `model`.
        stage: The stage it is.
        out: The folder to make.
        tokenizer: What it was trained with. Nothing in the file tells; without it the shipped one
            is taken, whose ids are not those of the article's own tokenizer.

    Raises:
        InputError: The file cannot be read safely or does not fit the stage or the tokenizer, the
            stage is none of the ladder's, or `out` is there already.

    Example:
        >>> convert("09_multihead.pt", "09_multi_head", out="runs/09")  # doctest: +SKIP
    """
    require_empty(out)
    chosen, file = _rung(stage), read_pt(path)
    text = tokenizer or default_tokenizer()
    config = fitted_config(chosen, file, d_vocab=text.d_vocab, eos_id=text.eos_id)
    weights = stage_weights(chosen, file, config)
    model = StageModel(config, tokenizer=text, name=chosen.id)
    model.load_state_dict(weights)
    done = Conversion(
        model=model,
        file=file,
        ignored=ignored_keys(file, config),
        also_fits=also_fits(chosen, file),
        rounded=any(t.dtype == torch.float64 for t in file.tensors.values()),
    )
    _write(Path(out), done, tokenizer_was_named=tokenizer is not None)
    return done


def _rung(name: str) -> Stage:
    """The stage of that id, which the article's notebooks must have trained."""
    stage = get_stage(name)
    if stage.id not in LADDER:
        raise InputError(f"the notebooks have no {stage.id}; name one of {', '.join(LADDER)}")
    return stage


def _write(out: Path, done: Conversion, *, tokenizer_was_named: bool) -> None:
    """The folder, whole or not at all."""
    model = done.model
    assert model.tokenizer is not None
    with new_folder(out) as folder:
        save_weights(model, folder, dtype=torch.float32)
        if not is_shipped(model.tokenizer.sha256):
            model.tokenizer.save(folder / "tokenizer")
        write_converted_card(
            folder,
            stage=str(model.cfg.model_name),
            model=model.config.to_dict(),
            tokenizer=model.tokenizer,
            tokenizer_was_named=tokenizer_was_named,
            converted_from=_record(done),
        )


def _record(done: Conversion) -> dict[str, Any]:
    """What the card says of the file."""
    weights = [t for key, t in done.file.tensors.items() if key not in done.ignored]
    kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in weights}
    return {
        "file": done.file.name,
        "sha256": done.file.sha256,
        "held_under": done.file.held_under,
        "dtypes": sorted(kinds),
        "stored_as": "float32",
        "ignored": done.ignored,
        "also_fits": done.also_fits,
    }
