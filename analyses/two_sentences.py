"""The NumPy GPT learns two sentences by heart: `python analyses/two_sentences.py`."""

from __future__ import annotations

from _recipe import run

CHECKPOINTS = ["byte_gpt"]  # trained anew: only the stage counts
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("two_sentences", checkpoints=CHECKPOINTS, family="numpy_gpt", corpus=CORPUS, seed=SEED)
