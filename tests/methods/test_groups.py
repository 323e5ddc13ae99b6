"""Which analyses are done at a time."""

from __future__ import annotations

import pytest

from lt_interp.methods.groups import Asked, grouped
from lt_interp.methods.registry import ANALYSES


def asked(*names: str) -> list[Asked]:
    return [Asked(name, f"lt-interp analyze {name}", {}) for name in names]


@pytest.mark.parametrize(("n_models", "n_processes"), [(2, 2), (17, 8), (1, 1)])
def test_models_share_the_processes(n_models: int, n_processes: int) -> None:
    every = asked(*ANALYSES)
    groups = grouped(every, n_models=n_models, n_processes=n_processes)
    assert groups == [[each] for each in every]


def test_a_single_models_analyses_share_them() -> None:
    evolution, article, attention = every = asked("evolution", "article", "attention")
    assert ANALYSES["article"].reads_results
    assert grouped(every, n_models=1, n_processes=2) == [[evolution, attention], [article]]
    assert grouped([article], n_models=1, n_processes=2) == [[article]]
    assert grouped([], n_models=1, n_processes=2) == []
