"""What every attention head looks at: `python analyses/attention.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped stage; or name some, such as ["04_attention", "05_attn_position"].
CHECKPOINTS = None
# Texts to draw the patterns of besides the article's two, such as ["Tom was sad. He"].
PROMPTS = None
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("attention", checkpoints=CHECKPOINTS, corpus=CORPUS, seed=SEED, prompts=PROMPTS)
