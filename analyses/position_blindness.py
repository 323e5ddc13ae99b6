"""Which stages cannot see word order: `python analyses/position_blindness.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped stage; or name some, such as ["04_attention", "05_attn_position"].
CHECKPOINTS = None
# The same words in another order; the article's pair.
PAIR = ("The girl saw the dog", "The dog saw the girl")
# How many prefixes are cut from the stories and put in other orders.
PREFIXES = 208
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run(
        "position_blindness",
        checkpoints=CHECKPOINTS,
        corpus=CORPUS,
        seed=SEED,
        pair=PAIR,
        prefixes=PREFIXES,
    )
