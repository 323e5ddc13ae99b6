"""A stage's folder for another program: config, weights, tokenizer, and where they come from."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from transformers import GenerationConfig

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError
from lt_interp.export.gpt2 import to_gpt2, why_not_gpt2
from lt_interp.export.hooked_transformer import (
    hooked_transformer_config,
    hooked_transformer_weights,
    why_not_hooked_transformer,
)
from lt_interp.export.opt import to_opt, why_not_opt
from lt_interp.files import new_folder, require_empty, write_bytes, write_json
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import read_json
from lt_interp.stages import STAGES

CARD, CONFIG, WEIGHTS, TOKENIZER = "export.json", "config.json", "model.safetensors", "tokenizer"
# Of a saved tokenizer, what transformers reads, and the licence of what is in it.
_TOKENIZER_FILES = {
    "tokenizer.json": "tokenizer.json",
    "tokenizer_config.json": "tokenizer_config.json",
    "LICENSE": "tokenizer-LICENSE",
}


def why_not_hugging_face(config: ModelConfig) -> str | None:
    """Why no architecture of transformers is a model's; `None` if one is."""
    return why_not_gpt2(config) if config.has_blocks else why_not_opt(config)


def export(
    model: StageModel, *, format: str, out: str | Path, source: Mapping[str, Any] | None = None
) -> Path:
    """Write a model as a folder that another program opens without this package.

    Args:
        model: A stage with the tokenizer it was trained with.
        format: `"hooked-transformer"`: `config.json` and `model.safetensors` for TransformerLens's
            HookedTransformer, and the tokenizer in `tokenizer/`. `"hf"`: what
            `AutoModelForCausalLM` and `AutoTokenizer` of transformers open.
        out: The folder to make.
        source: What is on record of the model, as JSON values; `export.json` keeps it.

    Returns:
        The folder.

    Raises:
        InputError: The format is unknown or cannot express the model exactly, the model has no
            tokenizer, or `out` is there already.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; allowed: {', '.join(FORMATS)}")
    reason = FORMATS[format].why_not(model.config)
    if reason:
        able = [s.id for s in STAGES.values() if not FORMATS[format].why_not(s.config)]
        raise InputError(
            f"{model.cfg.model_name} cannot be written as {format}: {reason}; "
            f"stages that can: {', '.join(able)}"
        )
    if model.tokenizer is None:
        raise InputError(f"{model.cfg.model_name} has no tokenizer; load it with one to export it")
    require_empty(out)
    with new_folder(out) as temporary:
        FORMATS[format].write(model, model.tokenizer, temporary)
        write_json(temporary / CARD, _card(model, format, source))
    return Path(out)


def _write_hooked_transformer(model: StageModel, tokenizer: Tokenizer, folder: Path) -> None:
    write_json(folder / CONFIG, hooked_transformer_config(model))
    write_bytes(folder / WEIGHTS, save(hooked_transformer_weights(model)))
    # not beside the config: AutoTokenizer would take that for one of its own
    _write_tokenizer(tokenizer, folder / TOKENIZER, n_ctx=model.config.n_ctx)


def _write_hugging_face(model: StageModel, tokenizer: Tokenizer, folder: Path) -> None:
    convert = to_gpt2 if model.config.has_blocks else to_opt
    ids = {
        "eos_token_id": tokenizer.eos_id,
        # every story but the first follows the end of another, so that is what text begins with
        "bos_token_id": tokenizer.eos_id,
        "pad_token_id": tokenizer.eos_id if tokenizer.pad_id is None else tokenizer.pad_id,
    }
    converted = convert(model, **ids)
    # a length of its own keeps transformers' default from running past the last position
    converted.generation_config = GenerationConfig(max_length=model.config.n_ctx, **ids)
    converted.config.architectures = [type(converted).__name__]
    converted.config.dtype = "float32"
    converted.config.save_pretrained(folder)
    converted.generation_config.save_pretrained(folder)
    # what the model's own save_pretrained writes, without the bar that it draws
    write_bytes(folder / WEIGHTS, save(converted.state_dict(), metadata={"format": "pt"}))
    _write_tokenizer(tokenizer, folder, n_ctx=model.config.n_ctx)


def _write_tokenizer(tokenizer: Tokenizer, folder: Path, *, n_ctx: int) -> None:
    """The files that transformers opens, put into a folder that may hold others."""
    saved = folder / ".saved"
    tokenizer.save(saved)
    for name, new_name in _TOKENIZER_FILES.items():
        if (saved / name).is_file():
            (saved / name).rename(folder / new_name)
    shutil.rmtree(saved)
    config = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": n_ctx})


def _card(model: StageModel, format: str, source: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the folder is, for whoever finds it without its history."""
    return {
        "format_version": 1,
        "format": format,
        "stage": model.cfg.model_name,
        "model": model.config.to_dict(),
        "weights": "float32",
        "source": None if source is None else dict(source),
        "written_by": f"lt-interp {importlib.metadata.version('lt-interp')}",
    }


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way to write a model.

    Attributes:
        why_not: Why a model cannot be written that way; `None` if it can.
        write: Fills a folder.
    """

    why_not: Callable[[ModelConfig], str | None]
    write: Callable[[StageModel, Tokenizer, Path], None]


FORMATS = {
    "hooked-transformer": Format(
        why_not=why_not_hooked_transformer, write=_write_hooked_transformer
    ),
    "hf": Format(why_not=why_not_hugging_face, write=_write_hugging_face),
}
