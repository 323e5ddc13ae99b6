"""The lines of `metrics.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lt_interp.errors import InputError
from lt_interp.files import write_text
from lt_interp.reading import check, file_in, parse_json, read_text, require_few_values
from lt_interp.training.run_folder import METRICS

LARGEST_LOSS = 700.0  # nats; there is no perplexity beyond


def append_metrics(folder: Path, line: dict[str, Any]) -> None:
    """Add one line.

    Raises:
        InputError: The folder is gone.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} was deleted while the run was under way; begin it again")
    with (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def is_sound(line: dict[str, Any]) -> bool:
    """Whether no number of a line is NaN or infinite, and no loss out of all bounds."""
    try:
        json.dumps(line, allow_nan=False)
    except ValueError:
        return False
    return line.get("val_loss_nats", 0.0) <= LARGEST_LOSS


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All lines of a run; a last line that an interruption cut short is left out."""
    path = file_in(folder, METRICS)
    if not path.exists():
        return []
    text = read_text(path)
    try:
        require_few_values(text)
        lines = [parse_json(line) for line in text.split("\n")[:-1] if line]
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); restore it") from None
    for line in lines:
        check(line, "metrics", str(path))
    return lines


def forget_after(folder: Path, step: int) -> None:
    """Drop the lines that lie after a snapshot, since those steps are trained again."""
    kept = [line for line in read_metrics(folder) if line["step"] <= step]
    write_text(folder / METRICS, "".join(json.dumps(line) + "\n" for line in kept))
