"""The measures against independent references, and the intervals against the shared ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import entropy

from lt_interp.corpus.windows import Rows
from lt_interp.methods.position_blindness import compare as module
from lt_interp.methods.position_blindness.compare import (
    compare,
    kl_bound,
    largest_difference,
    predict,
)
from lt_interp.methods.position_blindness.orders import Variants, permutations
from lt_interp.methods.position_blindness.prefixes import Prefixes, cut_prefixes
from lt_interp.model.stage_model import StageModel

from .conftest import tiny


@pytest.fixture(scope="module")
def cut(rows: Rows) -> Prefixes:
    return cut_prefixes(rows, n=12, lengths=(8, 20), seed=0)


@pytest.fixture(scope="module")
def shuffled(cut: Prefixes) -> Variants:
    return permutations(cut, keep=1, times=3, seed=0)


def test_measures_are_those_of_the_model_read_one_prefix_at_a_time(
    cut: Prefixes, shuffled: Variants
) -> None:
    model = StageModel(tiny("09_multi_head"), seed=1)
    found = compare(model, cut, shuffled, predict(model, cut))
    for place, which in enumerate(shuffled.prefix):
        length = int(cut.length[which])
        with torch.no_grad():
            before, after = (
                model(torch.from_numpy(tokens[:length])[None])[0, -1].double()
                for tokens in (cut.tokens[which], shuffled.tokens[place])
            )
        p, q = before.softmax(-1).numpy(), after.softmax(-1).numpy()
        following = int(cut.next_token[which])
        assert_allclose(found.max_abs_difference[place], (before - after).abs().max(), rtol=1e-4)
        assert_allclose(found.kl_nats[place], entropy(p, q), rtol=1e-4)
        assert found.same_top[place] == (p.argmax() == q.argmax())
        assert_allclose(
            found.loss_change_nats[place], np.log(p[following] / q[following]), atol=1e-6
        )


@pytest.mark.parametrize("stage", ["04_attention", "05_attn_position", "10_moe"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_kl_stays_below_half_the_square_of_the_largest_difference(
    cut: Prefixes, shuffled: Variants, stage: str, scale: float
) -> None:
    model = StageModel(tiny(stage), seed=2)
    model.unembed.W_U.data *= scale
    found = compare(model, cut, shuffled, predict(model, cut))
    assert largest_difference(model, cut, shuffled, predict(model, cut)) == (
        found.max_abs_difference.max()
    )
    # 1e-15: what the double precision of a KL of blind stages leaves.
    assert (found.kl_nats <= kl_bound(1.0) * found.max_abs_difference**2 + 1e-15).all()


def test_batches_and_what_stands_right_of_a_prefix_change_nothing(
    cut: Prefixes, shuffled: Variants, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StageModel(tiny("08_two_blocks"), seed=1)
    logits = predict(model, cut)
    whole = compare(model, cut, shuffled, logits)
    right = np.arange(shuffled.tokens.shape[1]) >= cut.length[shuffled.prefix][:, None]
    filled = Variants(prefix=shuffled.prefix, tokens=np.where(right, 7, shuffled.tokens))
    monkeypatch.setattr(module, "CHUNK_TOKENS", 1)
    for variants in (shuffled, filled):
        parts = compare(model, cut, variants, logits)
        assert_allclose(parts.kl_nats, whole.kl_nats, rtol=1e-3, atol=1e-12)
