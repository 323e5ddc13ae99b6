"""Training speed: our loss and optimizers against the loop of the article's notebooks.

Both take the same 32 rows of the same stage in float32 on the same machine in turn. The notebooks'
loop holds all logits and steps AdamW; ours computes the loss in chunks along with its gradients and
steps Muon and AdamW. Clipping, validation and metrics are in neither. Prints the ratio of tokens a
second and writes `benchmarks/results.json`.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.files import write_json
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage
from lt_interp.training.loss import linear_cross_entropy
from lt_interp.training.optimizer import build_optimizers
from lt_interp.training.recipe import recipe_for

STAGE, ROWS, REPEATS, STEPS = "09_multi_head", 32, 5, 2
RESULTS = Path(__file__).with_name("results.json")


def notebook_loss(model: StageModel, tokens: Tensor) -> Tensor:
    """The loss of the article's notebooks: every logit of the batch at once."""
    logits = model(tokens[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def chunked_loss(model: StageModel, tokens: Tensor) -> Tensor:
    """The same number without holding the logits."""
    hidden = model.hidden(tokens[:, :-1]).flatten(0, 1)
    return linear_cross_entropy(hidden, model.W_U, model.b_U, tokens[:, 1:].flatten())


def stepper(
    loss: Callable[[StageModel, Tensor], Tensor], recipe: str, tokens: Tensor
) -> Callable[[], float]:
    """A function that trains a fresh model for `STEPS` steps and returns tokens a second."""
    model = StageModel(get_stage(STAGE).config)
    optimizers = build_optimizers(model, recipe_for(recipe, STAGE))

    def run() -> float:
        began = time.perf_counter()
        for _ in range(STEPS):
            loss(model, tokens).backward()
            for optimizer in optimizers:
                optimizer.step()
            model.zero_grad(set_to_none=True)
        return STEPS * tokens[:, 1:].numel() / (time.perf_counter() - began)

    return run


def main() -> None:
    """Measure in turn, after one warm-up each, and report medians."""
    rows = open_rows(open_corpus("embedded"), default_tokenizer())
    tokens = torch.from_numpy(rows.tokens[:ROWS].astype("int64"))
    baseline = stepper(notebook_loss, "article", tokens)
    ours = stepper(chunked_loss, "ladder", tokens)
    baseline(), ours()
    pairs = [(baseline(), ours()) for _ in range(REPEATS)]
    ratio = statistics.median(b / a for a, b in pairs)
    results = {
        "what": f"training tokens/s, stage {STAGE}, batch {ROWS} rows",
        "baseline_tokens_per_s": [round(a) for a, _ in pairs],
        "ours_tokens_per_s": [round(b) for _, b in pairs],
        "ratio_median": round(ratio, 2),
        "machine": {"cpu_capability": torch.backends.cpu.get_cpu_capability()},
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    write_json(RESULTS, results)
    print(f"{results['what']}: {ratio:.2f} times the notebooks' loop")


if __name__ == "__main__":
    main()
