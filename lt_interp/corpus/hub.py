"""Stories of a dataset on the Hugging Face hub, such as `roneneldan/TinyStories`.

`datasets` downloads the dataset once, keeps it memory-mapped in its own cache folder and finds it
there again. With `HF_HUB_OFFLINE=1` only that copy is used. The library is imported on first use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from lt_interp.corpus.readers import require_text, require_text_column, stories_in
from lt_interp.errors import InputError

REACH_SECONDS = 10.0
BATCH_ROWS = 1_000

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", flags=re.ASCII)
_FILE_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")


def is_hub_id(spec: str) -> bool:
    """Whether a name reads as `owner/name` and not as a path.

    Example:
        >>> [is_hub_id(s) for s in ("roneneldan/TinyStories", "a/b.txt", "./a", "/a/b", "a/b/c")]
        [True, False, False, False, False]
    """
    return _HUB_ID.fullmatch(spec) is not None and _FILE_SUFFIX.search(spec) is None


def open_hub(dataset_id: str, split: str) -> Callable[[], Iterator[str]]:
    """Download a dataset, or find it in the cache, and return what reads one split of it.

    Args:
        dataset_id: `owner/name` on the hub.
        split: The name of a split there: `train` or `validation`.

    Returns:
        A function that yields the split's stories from the start each time it is called.

    Raises:
        InputError: No network, an unknown dataset, no such split or no `text` column.
    """
    require_reachable(dataset_id)
    return load_split(dataset_id, split)


def require_reachable(dataset_id: str) -> None:
    """Ask the hub for the dataset once: `load_dataset` would retry for half a minute.

    Nothing is asked in the hub's own offline mode, where `load_dataset` reads the cache at once.

    Raises:
        InputError: The hub does not answer within `REACH_SECONDS`, or does not know the dataset.
    """
    from datasets import config
    from huggingface_hub import HfApi, errors

    if config.HF_HUB_OFFLINE:
        return
    try:
        HfApi(endpoint=config.HF_ENDPOINT).dataset_info(dataset_id, timeout=REACH_SECONDS)
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise InputError(
            f"{dataset_id!r} is neither a local path nor a dataset that the Hugging Face hub shows "
            "you; check the spelling, or log in if it is private"
        ) from None
    except (OSError, _http_error()) as error:
        raise InputError(
            f"{dataset_id!r} is no local path, and the Hugging Face hub cannot be reached "
            f"({_reason(error)}); check the network, set HF_HUB_OFFLINE=1 to use a copy downloaded "
            "before, or name a local path or 'embedded'"
        ) from None


def load_split(source: str, split: str) -> Callable[[], Iterator[str]]:
    """Open one split with `datasets.load_dataset`.

    Args:
        source: A dataset id, or a local folder with the layout of a dataset repository.
        split: The name of the split.

    Returns:
        A function that yields the split's stories from the start each time it is called.

    Raises:
        InputError: The dataset cannot be loaded, or lacks the split or a `text` column.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        splits = load_dataset(source)
    except (OSError, ValueError, DatasetsError, _http_error()) as error:
        raise InputError(
            f"dataset {source!r} cannot be loaded ({_reason(error)}); check its name and the "
            "network, or name a local path or 'embedded'"
        ) from None
    if split not in splits:
        there = ", ".join(map(str, splits))
        raise InputError(f"dataset {source!r} has no split {split!r}; its splits are {there}")
    dataset = splits[split]
    require_text_column(dataset.column_names, f"dataset {source!r}")
    return partial(_stories, dataset.select_columns("text"), source)


def _stories(dataset: Any, source: str) -> Iterator[str]:
    row = 0
    for batch in dataset.iter(BATCH_ROWS):
        for value in batch["text"]:
            yield from stories_in(require_text(value, f"dataset {source!r}, row {row}"))
            row += 1


def _http_error() -> type[Exception]:
    """The base error of whichever HTTP library this version of the hub's client stands on."""
    from huggingface_hub import errors

    return vars(errors)["HTTPError"]


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
