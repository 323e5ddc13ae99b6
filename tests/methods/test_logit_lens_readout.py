"""Reading in pieces gives what reading at once gives, and never holds more than a piece."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lt_interp.methods.logit_lens.readout import CELLS, likeliest, read

POINTS, N, D_IN, D_VOCAB = 3, 23, 8, 101


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(POINTS, N, D_IN, generator=generator)
    W_U = torch.randn(D_IN, D_VOCAB, generator=generator)
    b_U = 3 * torch.randn(D_VOCAB, generator=generator)
    return vectors, W_U, b_U, torch.randint(0, D_VOCAB, (N,), generator=generator)


@pytest.mark.parametrize(("cells", "vocab"), [(10**6, 10**6), (500, 10**6), (97, 13), (1, 1)])
def test_pieces_that_do_not_divide_give_the_same_as_one(inputs, cells: int, vocab: int) -> None:
    vectors, W_U, b_U, targets = inputs
    found = read(vectors, W_U, b_U, targets, cells=cells, vocab=vocab)
    log_p = (vectors.double() @ W_U.double() + b_U.double()).log_softmax(dim=-1)
    own = log_p.gather(2, targets.expand(POINTS, N)[..., None])
    final = log_p[-1]
    kl = (final.exp() * (final - log_p)).sum(dim=-1)
    assert torch.allclose(found.loss_nats.double(), -own[..., 0], atol=1e-5)
    assert found.rank.equal((log_p > own).sum(dim=-1) + 1)
    assert torch.allclose(found.kl_to_final_nats.double(), kl, atol=1e-5)
    assert found.kl_to_final_nats[-1].eq(0).all()
    assert (found.kl_to_final_nats[:-1] > 0.01).all()


@pytest.mark.parametrize("vocab", [D_VOCAB, 7])
def test_equal_logits_earn_nobody_the_first_rank(inputs, vocab: int) -> None:
    _, W_U, b_U, targets = inputs
    nothing = torch.zeros(1, N, D_IN)
    found = read(nothing, W_U, torch.ones_like(b_U), targets, vocab=vocab)
    assert found.rank.eq(D_VOCAB).all()
    assert torch.allclose(found.loss_nats, torch.tensor(float(D_VOCAB)).log(), atol=1e-5)


def test_likeliest_tokens_in_pieces_are_those_of_the_whole(inputs) -> None:
    vectors, W_U, b_U, _ = inputs
    probabilities, ids = likeliest(vectors[0], W_U, b_U, k=4, cells=3 * D_VOCAB)
    whole = (vectors[0] @ W_U + b_U).softmax(dim=-1)
    order = whole.argsort(dim=-1, descending=True)[:, :4]
    assert ids.equal(order)
    assert torch.allclose(probabilities, whole.gather(1, order))
    assert likeliest(vectors[0], W_U, b_U, k=500)[0].shape == (N, D_VOCAB)


class Largest(TorchDispatchMode):
    """The size in bytes of the largest tensor that any operation made."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.nbytes = max(self.nbytes, tensor.nbytes)
        return out


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    """All logits of a point would be 80 MB; every tensor made on the way is below 8 MB.

    Counted on every operation that torch dispatches; a handful of such tensors live at once.
    """
    n, d_vocab = 200, 100_003
    vectors, W_U = torch.randn(2, n, 4), torch.randn(4, d_vocab)
    b_U, targets = torch.zeros(d_vocab), torch.arange(n)
    with Largest() as largest:
        read(vectors, W_U, b_U, targets)
        likeliest(vectors[0], W_U, b_U, k=5)
    assert n * d_vocab * 4 > 10 * largest.nbytes
    assert CELLS < largest.nbytes <= 8 * CELLS
