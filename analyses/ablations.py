"""What each part of a small GPT is worth, from several seeds: `python analyses/ablations.py`.

Trains thirty runs, about 90 minutes on two cores; begun again, it goes on where it was.
"""

from __future__ import annotations

from pathlib import Path

from _recipe import run_experiment

from lt_interp.methods.ablations.analysis import ablations

# A text of about the length of a book; any file or folder by path.
CORPUS = "embedded"
RUNS = Path("runs/ablations")
# The article trains for 10,000 steps.
STEPS = 1200
SEEDS = (0, 1, 2)

if __name__ == "__main__":
    run_experiment("char_ablations", ablations, runs=RUNS, corpus=CORPUS, steps=STEPS, seeds=SEEDS)
