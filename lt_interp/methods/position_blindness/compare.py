"""How far another order of a prefix moves what a stage predicts after its last token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from einops import einsum
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from lt_interp.methods.position_blindness.orders import Variants
from lt_interp.methods.position_blindness.prefixes import Prefixes
from lt_interp.model.stage_model import StageModel

CHUNK_TOKENS = 8192  # read at once: 200 MB of activations in the widest stage
# A logit is a sum of some hundred products in float32 (relative rounding 6e-8), and reordering a
# sum moves it by at most about (number of terms) x 6e-8, or 1e-5, of its parts. Ten times that
# passes every reordering, and is far below any change that a reader of logits would call one. In
# double precision all of this is 2 ** 29 times smaller.
RELATIVE_BOUND = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Each variant against the prefix that it replaces.

    Attributes:
        prefix: Which prefix.
        max_abs_difference: Largest difference of a logit over the vocabulary.
        kl_nats: KL(prefix || variant) of the two predictions.
        same_top: Whether both call the same next token the likeliest.
        loss_change_nats: Loss of the true next token after the variant, minus that after the
            prefix.
    """

    prefix: Int[np.ndarray, " variant"]
    max_abs_difference: Float[np.ndarray, " variant"]
    kl_nats: Float[np.ndarray, " variant"]
    same_top: Bool[np.ndarray, " variant"]
    loss_change_nats: Float[np.ndarray, " variant"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What a stage predicts after each prefix.

    Attributes:
        logits: In the model's own precision.
        log_p: Their log-probabilities, in double precision: a KL of 1e-12 is then a number and not
            noise.
    """

    logits: Float[Tensor, "prefix d_vocab"]
    log_p: Float64[Tensor, "prefix d_vocab"]

    @cached_property
    def p(self) -> Float64[Tensor, "prefix d_vocab"]:
        """The probabilities."""
        return self.log_p.exp()

    @cached_property
    def bound(self) -> float:
        """How far rounding alone may move a logit."""
        return rounding_bound(self.logits)


@torch.no_grad()
def predict(model: StageModel, prefixes: Prefixes) -> Predictions:
    """Read each prefix."""
    logits = torch.empty(len(prefixes), model.config.d_vocab, dtype=model.W_E.dtype)
    for rows, read in _last_logits(model, prefixes.tokens, prefixes.length):
        logits[rows] = read
    return Predictions(logits=logits, log_p=logits.double().log_softmax(dim=-1))


def rounding_bound(logits: Float[Tensor, "prefix d_vocab"]) -> float:
    """How far rounding alone may move a logit of this size and precision."""
    finer = torch.finfo(logits.dtype).eps / torch.finfo(torch.float32).eps
    return RELATIVE_BOUND * finer * float(logits.abs().max())


def kl_bound(bound: float) -> float:
    """The most that logits which move by no more than `bound` can do to KL, in nats.

    `KL = log E exp(d) - E d` for differences `d` within plus and minus the bound, which is at most
    half its square (Hoeffding, J. Am. Stat. Assoc. 58, 1963, lemma 1).
    """
    return bound**2 / 2


@torch.no_grad()
def compare(
    model: StageModel, prefixes: Prefixes, variants: Variants, predictions: Predictions
) -> Comparison:
    """Read every variant and compare.

    Args:
        model: The stage.
        prefixes: What the variants replace.
        variants: What is read.
        predictions: Of the same model for the prefixes.
    """
    n = len(variants.prefix)
    difference, kl, loss = (np.empty(n) for _ in range(3))
    same_top = np.empty(n, dtype=bool)
    length = prefixes.length[variants.prefix]
    for rows, after in _last_logits(model, variants.tokens, length):
        which = variants.prefix[rows]
        before, log_p = predictions.logits[which], predictions.log_p[which]
        difference[rows] = (before - after).abs().amax(dim=-1).double().numpy()
        same_top[rows] = (before.argmax(dim=-1) == after.argmax(dim=-1)).numpy()
        lost = log_p - after.double().log_softmax(dim=-1)
        kl[rows] = einsum(predictions.p[which], lost, "n v, n v -> n").clamp(min=0).numpy()
        true = torch.from_numpy(prefixes.next_token[which])[:, None]
        loss[rows] = lost.gather(1, true)[:, 0].numpy()
    return Comparison(
        prefix=variants.prefix,
        max_abs_difference=difference,
        kl_nats=kl,
        same_top=same_top,
        loss_change_nats=loss,
    )


@torch.no_grad()
def largest_difference(
    model: StageModel, prefixes: Prefixes, variants: Variants, predictions: Predictions
) -> float:
    """The largest difference of a logit over all variants; 0 if there are none."""
    length = prefixes.length[variants.prefix]
    return max(
        (
            float((predictions.logits[variants.prefix[rows]] - after).abs().max())
            for rows, after in _last_logits(model, variants.tokens, length)
        ),
        default=0.0,
    )


def _last_logits(
    model: StageModel, tokens: Int[np.ndarray, "n longest"], length: Int[np.ndarray, " n"]
) -> Iterator[tuple[Int[np.ndarray, " some"], Float[Tensor, "some d_vocab"]]]:
    """Rows of one length together, with their logits after the last token and no others."""
    for n_tokens in np.unique(length).tolist():
        rows = np.flatnonzero(length == n_tokens)
        step = max(1, CHUNK_TOKENS // n_tokens)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            read = torch.from_numpy(tokens[some, :n_tokens]).to(model.W_E.device)
            yield some, model.unembed(model.hidden(read)[:, -1:])[:, 0].cpu()
