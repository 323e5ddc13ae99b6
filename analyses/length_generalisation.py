"""Trained on 128 tokens, read on 512, with three kinds of positions.

`python analyses/length_generalisation.py --corpus PATH` trains three runs, about 40 minutes on two
cores; begun again, it goes on where it was.
"""

from __future__ import annotations

from pathlib import Path

from _recipe import run_experiment

from lt_interp.methods.length_generalisation import length_generalisation

CORPUS = "embedded"
RUNS = Path("runs/length_generalisation")
STEPS = 150
SEED = 0

if __name__ == "__main__":
    run_experiment(
        "four_layer_gpt", length_generalisation, runs=RUNS, corpus=CORPUS, steps=STEPS, seed=SEED
    )
