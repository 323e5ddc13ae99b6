"""Both ways of the tokenising benchmark give the same ids."""

from __future__ import annotations

from benchmarks.tokenising import gpt2_of_transformers, in_batches, one_at_a_time
from lt_interp.corpus import open_corpus
from lt_interp.corpus.gpt2_compact import Gpt2Compact
from lt_interp.corpus.tokenizer import default_tokenizer


def test_the_same_ids() -> None:
    tokenizer = default_tokenizer()
    assert isinstance(tokenizer, Gpt2Compact)
    stories = list(open_corpus("embedded").stories())[:50]
    fast, compact_ids = gpt2_of_transformers(tokenizer)
    expected = one_at_a_time(fast, compact_ids, stories, tokenizer.eos_id)
    assert in_batches(tokenizer, stories).tolist() == expected
