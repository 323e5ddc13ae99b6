"""Tokenising stories: our tokenizer against the notebooks' loop, one story at a time.

The loop asks GPT-2's tokenizer of `transformers` for each story and looks every id up in a
dictionary. Ours starts with an empty memory of words in every repeat. The stories are the embedded
ones; a larger corpus repeats more of its words.
"""

from __future__ import annotations

import numpy as np
from transformers import PreTrainedTokenizerFast

from benchmarks.harness import Comparison
from lt_interp.corpus import open_corpus
from lt_interp.corpus.gpt2_compact import Gpt2Compact
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.methods.timing import REPEATS, in_turn


def one_at_a_time(
    fast: PreTrainedTokenizerFast, compact_ids: dict[int, int], stories: list[str], eos_id: int
) -> list[int]:
    """The notebooks' loop: the ids of all stories in one list, `<eos>` after each."""
    ids: list[int] = []
    for story in stories:
        ids.extend(compact_ids.get(token, 1) for token in fast(story)["input_ids"])
        ids.append(eos_id)
    return ids


def in_batches(tokenizer: Gpt2Compact, stories: list[str]) -> np.ndarray:
    """The same ids by our tokenizer."""
    ended = [np.append(ids, tokenizer.eos_id) for ids in tokenizer.encode_batch(stories)]
    return np.concatenate(ended)


def gpt2_of_transformers(tokenizer: Gpt2Compact) -> tuple[PreTrainedTokenizerFast, dict[int, int]]:
    """What the notebooks had: the full tokenizer, and the compact id of each of its tokens."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer.bpe.fast)
    known = tokenizer.bpe.id_of
    return fast, {known[t]: i for i, t in enumerate(tokenizer.tokens) if t in known}


def compare() -> list[Comparison]:
    """Seconds for all embedded stories, in turn."""
    stories = list(open_corpus("embedded").stories())
    fast, compact_ids = gpt2_of_transformers(default_tokenizer())
    eos_id = default_tokenizer().eos_id
    fresh = [default_tokenizer() for _ in range(REPEATS + 1)]
    for tokenizer in fresh:
        tokenizer.encode("")  # builds the merges
    ours, theirs = in_turn(
        lambda: in_batches(fresh.pop(), stories),
        lambda: one_at_a_time(fast, compact_ids, stories, eos_id),
    )
    return [
        Comparison(
            what=f"tokenising {len(stories)} stories",
            against="GPT-2's tokenizer of transformers, one story at a time, ids by dictionary",
            target=5,
            ours=ours,
            theirs=theirs,
        )
    ]
