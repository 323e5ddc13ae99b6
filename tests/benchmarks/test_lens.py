"""Both ways of the lens benchmark give the same statistics."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose

from benchmarks.lens import STAGE, naive, naive_rows, ours
from lt_interp import load
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.methods.statistics import story_totals


def test_the_naive_way_gives_our_sums() -> None:
    model, rows = load(STAGE), open_rows(open_corpus("embedded"), default_tokenizer())
    n_rows = 1
    found = ours(model, rows, n_rows)
    token_by_token = naive(model, torch.from_numpy(rows.tokens[:n_rows].astype(np.int64)))
    story = rows.story_ids(slice(n_rows))[:, 1:].ravel().astype(np.int64)
    n = int(story.max()) + 1
    loss, rank, kl = (
        one.double().numpy()
        for one in (
            token_by_token.loss_nats,
            token_by_token.rank,
            token_by_token.kl_to_final_nats,
        )
    )
    expected = {
        "loss_nats": loss, "top1": (rank == 1).astype(float), "probability": np.exp(-loss),
        "log_rank": np.log(rank), "kl_to_final_nats": kl,
    }  # fmt: skip
    for name, values in expected.items():
        sums = getattr(found, name)
        assert_allclose(sums[:n], story_totals(values.T, story), rtol=1e-5, atol=1e-3)
        assert not sums[n:].any()
    assert (found.n_tokens[:n] == np.bincount(story)).all()


def test_the_naive_way_gets_at_least_a_row() -> None:
    model = load(STAGE)
    assert naive_rows(model, 256) >= 1
    assert naive_rows(model, 10**12) == 1
