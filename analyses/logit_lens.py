"""What each layer would predict if the model stopped there: `python analyses/logit_lens.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped stage; or name some, such as ["09_multi_head"].
CHECKPOINTS = None
# What the heatmaps show, a cell a layer and token; None takes three of the article's prompts.
PROMPTS = None
# Tokens of the stories to average over, rounded up to whole rows.
TOKENS = 20_000
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run(
        "logit_lens",
        checkpoints=CHECKPOINTS,
        corpus=CORPUS,
        seed=SEED,
        prompts=PROMPTS,
        tokens=TOKENS,
    )
