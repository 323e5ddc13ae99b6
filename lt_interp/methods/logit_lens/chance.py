"""What a reader would reach who knows nothing, or only how often each token occurs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lt_interp.corpus.windows import Rows
from lt_interp.methods.logit_lens.corpus import Sample
from lt_interp.methods.statistics import story_bootstrap

UNIFORM, UNIGRAM = "uniform", "unigram"
CHUNK_ROWS = 4096

BASELINES = {
    "baseline": str,
    "loss_nats": float,
    "low": float,
    "high": float,
    "top1_accuracy": float,
    "n_tokens": int,
    "n_stories": int,
}


def baseline_rows(rows: Rows, sample: Sample, *, d_vocab: int, seed: int) -> list[dict[str, Any]]:
    """The rows of the table `lens_baselines`.

    `uniform` gives every token the same probability. `unigram` gives each its share of the whole
    corpus, the sampled rows included, which flatters it a little.

    Args:
        rows: The whole corpus.
        sample: The tokens that are predicted.
        d_vocab: Size of the vocabulary.
        seed: Of the resampling of stories.
    """
    counts = np.zeros(d_vocab)
    for start in range(0, rows.n_rows, CHUNK_ROWS):
        part = np.asarray(rows.tokens[start : start + CHUNK_ROWS]).ravel()
        counts += np.bincount(part, minlength=d_vocab)
    targets = sample.tokens[:, 1:].ravel()
    losses = np.log(counts.sum()) - np.log(counts[targets])
    story_tokens = np.bincount(sample.story.ravel())
    interval = story_bootstrap(sample.by_story(losses[None]), story_tokens, seed=seed)
    n = {"n_tokens": sample.n_tokens, "n_stories": len(story_tokens)}
    uniform = {"baseline": UNIFORM, "loss_nats": math.log(d_vocab), "top1_accuracy": 1 / d_vocab}
    unigram = {
        "baseline": UNIGRAM,
        "loss_nats": float(interval.estimate[0]),
        "low": float(interval.low[0]),
        "high": float(interval.high[0]),
        "top1_accuracy": float((targets == counts.argmax()).mean()),
    }
    return [{**uniform, **n}, {**unigram, **n}]
