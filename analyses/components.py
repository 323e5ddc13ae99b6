"""Where a model's parameters are, beside its article's count: `python analyses/components.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped checkpoint of the family; or name some, such as ["byte_gpt"].
CHECKPOINTS = None
FAMILY = "numpy_gpt"
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("components", checkpoints=CHECKPOINTS, family=FAMILY, corpus=CORPUS, seed=SEED)
