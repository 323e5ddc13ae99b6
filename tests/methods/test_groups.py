"""Which analyses are done at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.groups import Asked, Subject, grouped
from lt_interp.methods.registry import ANALYSES


def subject(family: str, *models: str) -> Subject:
    rows = open_rows(open_corpus("embedded"), default_tokenizer())
    checkpoints = find_checkpoints(list(models))
    return Subject(family=family, checkpoints=checkpoints, rows=rows, seed=0, out=Path("reports"))


def asked(of: Subject, *names: str) -> list[Asked]:
    return [Asked(name, f"lt-interp analyze {name}", {}, of) for name in names]


@pytest.mark.parametrize("n_processes", [1, 2, 8])
def test_models_share_the_processes(n_processes: int) -> None:
    every = asked(subject("ladder", "03_bigram", "06_ffn"), *ANALYSES)
    assert grouped(every, n_processes=n_processes) == [[each] for each in every]


def test_a_single_models_analyses_share_them() -> None:
    one = subject("ladder", "03_bigram")
    evolution, article, attention = every = asked(one, "evolution", "article", "attention")
    assert ANALYSES["article"].reads_results
    assert grouped(every, n_processes=1) == [[evolution], [article], [attention]]
    assert grouped(every, n_processes=2) == [[evolution, attention], [article]]
    assert grouped([article], n_processes=2) == [[article]]
    assert grouped([], n_processes=2) == []


def test_single_models_of_several_articles_do_so_together() -> None:
    bytes_, tokens = subject("numpy_gpt", "byte_gpt"), subject("four_layer_gpt", "gpt_learned")
    ladder = subject("ladder", "03_bigram", "06_ffn")
    names = ("evolution", "attention")
    every = [each for of in (bytes_, ladder, tokens) for each in asked(of, *names)]
    together, *others = grouped(every, n_processes=2)
    assert together == [*asked(bytes_, *names), *asked(tokens, *names)]
    assert others == [[each] for each in asked(ladder, *names)]
