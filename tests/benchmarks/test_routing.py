"""What is compared in the benchmark of routing: the same tokens, and the analysis's own tables."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose

from benchmarks.growth_streams import mapped_rows, write_rows
from benchmarks.routing import STAGE, to_the_last_router
from lt_interp import load
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.methods.moe_routing.decisions import collect
from lt_interp.methods.moe_routing.routed import sets
from lt_interp.methods.moe_routing.streamed import streamed_routing
from lt_interp.methods.statistics import story_means


def test_a_stream_gives_what_decisions_kept_in_memory_give() -> None:
    model, rows = load(STAGE), open_rows(open_corpus("embedded"), default_tokenizer())
    found = streamed_routing(model, rows, 20)  # a whole batch and a part of one
    decisions = collect(model, rows, 20)
    for one in sets(decisions):
        shares = story_means(np.eye(2)[one.expert], one.story, seed=0)
        loads = [row for row in found["load"] if row["layer"] == one.name]
        assert [(row["share"], row["low"], row["high"]) for row in loads] == [
            shares.at(0), shares.at(1)
        ]  # fmt: skip
        counts = one.token_counts()
        tokens = [row for row in found["tokens"] if row["layer"] == one.name]
        assert [row["token_id"] for row in tokens] == np.flatnonzero(
            counts.sum(axis=1) >= 100
        ).tolist()
        for row in tokens:
            sent = counts[row["token_id"]]
            assert row["n_decisions"] == sent.sum()
            assert_allclose(row["share"], sent.max() / sent.sum(), rtol=1e-3)
    margins = {row["layer"]: row["value"] for row in found["margin"]
               if row["quantity"] == "margin_logits"}  # fmt: skip
    for layer, values in enumerate(decisions.margin_logits):
        assert_allclose(margins[str(layer)], values.mean(dtype=np.float64))


def test_the_bare_pass_runs_to_the_last_router_and_no_further() -> None:
    model, seen = load(STAGE), []
    before = {"blocks.0.hook_mlp_out", "blocks.1.mlp.hook_expert_weights"}
    after = {"blocks.1.mlp.experts.0.hook_pre", "blocks.1.hook_mlp_out"}
    hooks = [(name, lambda act, hook: seen.append(hook.name)) for name in before | after]
    with model.hooks(hooks):
        to_the_last_router(model, torch.arange(40).reshape(2, 20))
    assert set(seen) == before


def test_repeated_stories_are_new_stories_of_the_same_words(tmp_path) -> None:
    once = open_rows(open_corpus("embedded"), default_tokenizer())
    n_tokens = 2 * once.n_rows * (once.width - 1)
    write_rows(tmp_path, n_tokens=n_tokens)
    twice = mapped_rows(tmp_path, n_tokens=n_tokens)
    assert twice.tokens.shape == (2 * once.n_rows, once.width)
    assert (twice.tokens[once.n_rows :] == once.tokens).all()
    assert twice.n_stories == 2 * once.n_stories
    assert (twice.story_ids([once.n_rows + 3]) - once.story_ids([3]) == once.n_stories).all()
