"""Good inputs, written once; a cache folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .inputs import cached_in, write_inputs


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One good input a kind."""
    folder = tmp_path_factory.mktemp("good")
    with cached_in(tmp_path_factory.mktemp("rows")):
        write_inputs(folder)
        yield folder
