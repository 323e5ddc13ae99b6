"""What a patch is measured by: the logit difference, its recovery, and the distance in nats."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.model.stage_model import StageModel

SMALLEST_NATS = 1.0
"""A pair whose logit difference moves by less between clean and corrupt run has no recovery."""


@torch.no_grad()
def last_logits(model: StageModel, tokens: Int[Tensor, "row pos"]) -> Float[Tensor, "row d_vocab"]:
    """The logits after the last token alone: the unembedding of the other positions is not paid."""
    return model.unembed(model.hidden(tokens)[:, -1:])[:, 0]


def logit_difference(
    logits: Float[Tensor, "row d_vocab"], answers: Int[Tensor, "row 2"]
) -> Float[Tensor, " row"]:
    """The clean answer's logit minus the corrupt answer's.

    Example:
        >>> logit_difference(torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[0, 1]]))
        tensor([2.])
    """
    chosen = logits.gather(1, answers.to(logits.device))
    return chosen[:, 0] - chosen[:, 1]


def recovery(
    patched: Float[Tensor, "*cell pair"],
    clean: Float[Tensor, " pair"],
    corrupt: Float[Tensor, " pair"],
) -> Float[Tensor, "*cell pair"]:
    """`(LD_patched - LD_corrupt) / (LD_clean - LD_corrupt)`: 0 as the corrupt run, 1 as the clean.

    It is not bounded: a patch may overshoot either run.

    Args:
        patched: Logit differences of patched runs.
        clean: Of the clean runs.
        corrupt: Of the corrupt runs; too small a distance from `clean` is for the caller to drop.

    Example:
        >>> recovery(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([-1.0]))
        tensor([0.5000])
    """
    return (patched - corrupt) / (clean - corrupt)


def kl_nats(
    clean_logits: Float[Tensor, "pair d_vocab"], logits: Float[Tensor, "*cell pair d_vocab"]
) -> Float[Tensor, "*cell pair"]:
    """KL divergence of a patched prediction from the clean one, `sum p_clean log(p_clean / p)`.

    Written as `sum p_clean log p_clean - p_clean . logits + logsumexp(logits)`, it needs no
    exponential for every token but one; what rounding leaves below zero is zero.
    """
    log_probs = clean_logits.log_softmax(dim=-1)
    probs = log_probs.exp()
    expected = (probs * logits).sum(dim=-1)
    divergence = (probs * log_probs).sum(dim=-1) - expected + logits.logsumexp(dim=-1)
    return divergence.clamp_min(0)
