"""Can a stage tell "the girl saw the dog" from "the dog saw the girl"?

The two sentences hold the same tokens in another order. A stage that reads its prefix as a bag must
give them the same logits; any other stage should not. As the article prints them the sentences also
end in different tokens, which every stage from the bigram on sees without knowing any order, so
both are asked a second time with a common last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.article import article
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Checkpoint, find_checkpoints, one_a_stage, provenance
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

AS_PRINTED, COMMON_LAST = "as printed", "with a common last token"
SUFFIX = "."
TOP = 5
REFERENCE_PAIRS = 64
# A logit is a sum of some hundred products in float32 (relative rounding 6e-8), and reordering a
# sum moves it by at most about (number of terms) x 6e-8, or 1e-5, of its parts. Ten times that
# passes every reordering, and is far below any change that a reader of logits would call one.
RELATIVE_BOUND = 1e-4

DIFFERENCES = {
    "stage": str,
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
}
PREDICTIONS = {
    "stage": str,
    "weights": str,
    "variant": str,
    "sentence": str,
    "rank": int,
    "token": str,
    "probability": float,
}


def position_blindness(
    checkpoints: Sequence[str | Path],
    rows: Rows,
    *,
    seed: int,
    progress: Progress | None = None,
    command: str = "",
    pair: tuple[str, str] | None = None,
) -> Result:
    """Compare the predictions after two sentences of the same tokens, on every stage.

    Args:
        checkpoints: Trained checkpoints; the lowest seed of each stage is asked.
        rows: Stories, from which unrelated contexts are cut for scale.
        seed: Of those contexts, and of the untrained twin that each stage is compared with.
        progress: Called with stages done, stages in all and the stage's name.
        command: What repeats the analysis.
        pair: The sentences; by default the article's.

    Returns:
        Tables `differences`, one row a stage, weights (trained or untrained) and variant, and
        `predictions`, the likeliest next tokens. `reference_difference` is the same measure between
        unrelated contexts of the corpus of the same length: median, and 5th and 95th percentile.

    Raises:
        InputError: The sentences are not the same tokens in another order, or a checkpoint cannot
            be read.
    """
    sentences = pair or _article_pair()
    found = one_a_stage(find_checkpoints(checkpoints))
    differences: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for done, checkpoint in enumerate(found.values()):
        if progress:
            progress(done, len(found), checkpoint.name)
        for weights, model in _models(checkpoint, seed):
            about = {"stage": checkpoint.stage, "weights": weights}
            for variant, suffix in ((AS_PRINTED, ""), (COMMON_LAST, SUFFIX)):
                texts = [sentence + suffix for sentence in sentences]
                tokens = _same_tokens(model, texts)
                logits = _last_logits(model, tokens)
                shared = tokens[0, -1] if variant == COMMON_LAST else None
                reference = _reference(model, rows, tokens.shape[1], shared, seed)
                row = _compare(model.config, tokens, logits, reference)
                differences.append({**about, "variant": variant, **row})
                predictions += [
                    {**about, "variant": variant, "sentence": text, **top}
                    for text, row_logits in zip(texts, logits, strict=True)
                    for top in _likeliest(model, row_logits)
                ]
    if progress:
        progress(len(found), len(found), "position blindness")
    notes = {
        "sentences": list(sentences),
        "relative_bound": RELATIVE_BOUND,
        "bound": "identical: no logit differs by more than relative_bound x the largest |logit|",
        "reference": f"{REFERENCE_PAIRS} pairs of unrelated contexts of the same length; in the "
        f"variant {COMMON_LAST!r} they end in that token too",
        "untrained": f"PyTorch's default random weights, seed {seed}",
    }
    meta = provenance(list(found.values()), rows, seed=seed, command=command, notes=notes)
    tables = {
        "differences": make_table(DIFFERENCES, differences),
        "predictions": make_table(PREDICTIONS, predictions),
    }
    return Result(name="position_blindness", tables=tables, meta=meta)


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


def _article_pair() -> tuple[str, str]:
    first, second = article()["position_blindness_pair"]
    return first, second


def _models(checkpoint: Checkpoint, seed: int) -> list[tuple[str, StageModel]]:
    """The stage as trained, and the same architecture with random weights."""
    trained = checkpoint.load()
    twin = StageModel(trained.config, tokenizer=trained.tokenizer, seed=seed)
    return [("trained", trained), ("untrained", twin)]


def _same_tokens(model: StageModel, texts: list[str]) -> Int[Tensor, "2 pos"]:
    rows = [model.to_tokens(text)[0] for text in texts]
    first, second = (row.sort().values for row in rows)
    if not first.equal(second):
        raise InputError(
            f"{texts[0]!r} and {texts[1]!r} are not the same tokens in another order; only then "
            "does a difference mean that a stage reads order"
        )
    return torch.stack(rows)


@torch.no_grad()
def _last_logits(
    model: StageModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch d_vocab"]:
    """Logits after the last token; no others are made."""
    return model.unembed(model.hidden(tokens)[:, -1:])[:, 0]


def _compare(
    config: ModelConfig,
    tokens: Int[Tensor, "2 pos"],
    logits: Float[Tensor, "2 d_vocab"],
    reference: Float[np.ndarray, "pair"],
) -> dict[str, Any]:
    """One row of `differences`."""
    difference = (logits[0] - logits[1]).abs().max().item()
    bound = RELATIVE_BOUND * logits.abs().max().item()
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
    if length > rows.width:
        raise InputError(f"sentences of {length} tokens are longer than rows of {rows.width}")
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
