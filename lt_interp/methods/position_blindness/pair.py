"""The article's pair of sentences: the same tokens in two orders.

As the article prints them, the sentences also end in different tokens, which every stage from the
bigram on sees without knowing any order; so both are asked a second time with a common last token.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.article import article
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.position_blindness.compare import rounding_bound
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

AS_PRINTED, COMMON_LAST = "as printed", "with a common last token"
SUFFIX = "."
TOP = 5
REFERENCE_PAIRS = 64

DIFFERENCES = {
    "weights": str,
    "variant": str,
    "max_abs_logit_difference": float,
    "bound": float,
    "identical": bool,
    "expected_identical": bool,
    "same_top_token": bool,
    "logit_std": float,
    "reference_difference": float,
    "reference_low": float,
    "reference_high": float,
    "n_reference": int,
    "reason": str,
}
PREDICTIONS = {
    "weights": str,
    "variant": str,
    "sentence": str,
    "rank": int,
    "token": str,
    "probability": float,
}


def article_pair() -> tuple[str, str]:
    """The sentences of the article."""
    first, second = article()["position_blindness_pair"]
    return first, second


def expect_identical(
    config: ModelConfig, first: Int[Tensor, "pos"], second: Int[Tensor, "pos"]
) -> bool:
    """Whether the architecture alone forces equal logits after two orders of the same tokens.

    A mean of the prefix has no order, even with positions added: their mean is the same. An
    n-gram sees its last tokens only. One causal attention layer without positions weighs a bag by
    the last token; a second layer would not, since what it reads was masked by place.
    """
    if config.average:
        return True
    if not config.n_heads:
        return first[-config.window :].equal(second[-config.window :])
    return config.depth == 1 and not config.positions and bool(first[-1] == second[-1])


def ask_pair(
    model: StageModel, rows: Rows, *, pair: tuple[str, str] | None, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one model in `differences` and `predictions`, without `weights`.

    Args:
        model: Any stage.
        rows: Stories, from which unrelated contexts are cut for scale.
        pair: The sentences; by default the article's, and then a model whose tokenizer cannot
            express them gets a row with the reason.
        seed: Of the contexts.

    Raises:
        InputError: The sentences of a pair that was given are not the same tokens in another order.
    """
    found: dict[str, list[dict[str, Any]]] = {"differences": [], "predictions": []}
    for variant, suffix in ((AS_PRINTED, ""), (COMMON_LAST, SUFFIX)):
        texts = [sentence + suffix for sentence in pair or article_pair()]
        try:
            tokens = _same_tokens(model, texts, longest=rows.width)
        except InputError as error:
            if pair:
                raise
            found["differences"].append({"variant": variant, "reason": str(error)})
            continue
        logits = _last_logits(model, tokens)
        shared = tokens[0, -1] if variant == COMMON_LAST else None
        reference = _reference(model, rows, tokens.shape[1], shared, seed)
        row = _compare(model.config, tokens, logits, reference)
        found["differences"].append({"variant": variant, **row})
        found["predictions"] += [
            {"variant": variant, "sentence": text, **top}
            for text, row_logits in zip(texts, logits, strict=True)
            for top in _likeliest(model, row_logits)
        ]
    return found


def _same_tokens(model: StageModel, texts: list[str], *, longest: int) -> Int[Tensor, "2 pos"]:
    rows = [model.input_to_tokens(text)[0] for text in texts]
    first, second = (row.sort().values for row in rows)
    if not first.equal(second):
        raise InputError(
            f"{texts[0]!r} and {texts[1]!r} are not the same tokens in another order; only then "
            "does a difference mean that a stage reads order"
        )
    if len(first) > longest:
        raise InputError(f"sentences of {len(first)} tokens are longer than rows of {longest}")
    return torch.stack(rows)


@torch.no_grad()
def _last_logits(
    model: StageModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch d_vocab"]:
    """Logits after the last token; no others are made."""
    return model.unembed(model.hidden(tokens.to(model.W_E.device))[:, -1:])[:, 0].float().cpu()


def _compare(
    config: ModelConfig,
    tokens: Int[Tensor, "2 pos"],
    logits: Float[Tensor, "2 d_vocab"],
    reference: Float[np.ndarray, "pair"],
) -> dict[str, Any]:
    """One row of `differences`."""
    difference = (logits[0] - logits[1]).abs().max().item()
    bound = rounding_bound(logits)
    low, median, high = np.quantile(reference, [0.05, 0.5, 0.95]).tolist()
    return {
        "max_abs_logit_difference": difference,
        "bound": bound,
        "identical": difference <= bound,
        "expected_identical": expect_identical(config, tokens[0], tokens[1]),
        "same_top_token": bool(logits[0].argmax() == logits[1].argmax()),
        "logit_std": logits.std(dim=-1).mean().item(),
        "reference_difference": median,
        "reference_low": low,
        "reference_high": high,
        "n_reference": len(reference),
    }


def _reference(
    model: StageModel, rows: Rows, length: int, last: Int[Tensor, ""] | None, seed: int
) -> Float[np.ndarray, "pair"]:
    """The largest difference of a logit between unrelated contexts, for each of some pairs.

    Args:
        model: The stage.
        rows: Where the contexts are cut from, at random places.
        length: Tokens of a context.
        last: What every context ends in; by default what stands there.
        seed: Of the places.
    """
    rng = np.random.default_rng(seed)
    row = rng.integers(rows.n_rows, size=2 * REFERENCE_PAIRS)
    start = rng.integers(rows.width - length + 1, size=2 * REFERENCE_PAIRS)
    contexts = np.stack([rows.tokens[r, s : s + length] for r, s in zip(row, start, strict=True)])
    tokens = torch.from_numpy(contexts.astype(np.int64))
    if last is not None:
        tokens[:, -1] = last
    logits = _last_logits(model, tokens)
    differences = logits[:REFERENCE_PAIRS] - logits[REFERENCE_PAIRS:]
    return differences.abs().amax(dim=-1).double().numpy()


def _likeliest(model: StageModel, logits: Float[Tensor, "d_vocab"]) -> list[dict[str, Any]]:
    """The likeliest next tokens with their probabilities."""
    top = logits.softmax(dim=-1).topk(min(TOP, len(logits)))
    return [
        {"rank": rank, "token": model.to_single_str_token(int(id)), "probability": float(chance)}
        for rank, (chance, id) in enumerate(zip(top.values, top.indices, strict=True), start=1)
    ]
