"""Coverage of planted counts, and of a vocabulary by the tokenizer that has it."""

from __future__ import annotations

from itertools import islice

import pytest

from lt_interp.corpus.coverage import measure_coverage
from lt_interp.corpus.gpt2_compact import build_gpt2_compact
from lt_interp.corpus.sources import open_corpus
from lt_interp.errors import InputError

# 8 tokens: 5 x " a", 2 x " cat", 1 x " dog"
PLANTED = [" a a a cat", " a a dog cat"]


def test_planted_coverage() -> None:
    coverage = measure_coverage(PLANTED)
    assert coverage.n_tokens == 8
    assert coverage.by_top_n((1, 2, 3, 1000)) == [
        {"top_n": 1, "coverage_percent": 62.5},
        {"top_n": 2, "coverage_percent": 87.5},
        {"top_n": 3, "coverage_percent": 100.0},
        {"top_n": 1000, "coverage_percent": 100.0},
    ]
    assert coverage.tokens_needed((0.5, 0.625, 0.63, 0.875, 1.0)) == [
        {"share": 0.5, "n_tokens_needed": 1},
        {"share": 0.625, "n_tokens_needed": 1},
        {"share": 0.63, "n_tokens_needed": 2},
        {"share": 0.875, "n_tokens_needed": 2},
        {"share": 1.0, "n_tokens_needed": 3},
    ]


def test_coverage_is_the_share_of_tokens_that_are_not_unknown() -> None:
    stories = list(islice(open_corpus("embedded").stories(), 40))
    tokenizer = build_gpt2_compact(stories, vocab_size=503, corpus_sha256="0" * 64)
    known = [i != tokenizer.unk_id for ids in tokenizer.encode_batch(stories) for i in ids.tolist()]
    row = measure_coverage(stories).by_top_n((500,))[0]
    assert row["coverage_percent"] == pytest.approx(100 * sum(known) / len(known))


def test_bad_questions_are_refused() -> None:
    coverage = measure_coverage(PLANTED)
    with pytest.raises(InputError, match="0 tokens cover nothing"):
        coverage.by_top_n((4, 0))
    for share in (0.0, 1.1):
        with pytest.raises(InputError, match=f"{share} is no share"):
            coverage.tokens_needed((0.5, share))


def test_an_empty_corpus_has_no_coverage() -> None:
    with pytest.raises(InputError, match="no tokens to cover"):
        measure_coverage([""])
