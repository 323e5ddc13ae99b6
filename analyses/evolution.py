"""The article's "Full Evolution" on stories of your choice: `python analyses/evolution.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped checkpoint, further seeds included; or name some, such as ["09_multi_head"].
CHECKPOINTS = None
# What every stage continues. The article printed its samples for the first of its prompts.
PROMPTS = ["Once upon a time"]
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("evolution", checkpoints=CHECKPOINTS, corpus=CORPUS, seed=SEED, prompts=PROMPTS)
