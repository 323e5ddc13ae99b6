"""Which activations carry an answer across: `python analyses/activation_patching.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped stage; or name some, such as ["09_multi_head"].
CHECKPOINTS = None
# The prompt pairs come with the package (choose_prompt_pairs.py makes them): no story is read.
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("activation_patching", checkpoints=CHECKPOINTS, corpus=CORPUS, seed=SEED)
