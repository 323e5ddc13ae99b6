"""The article's tables and claims put to the test: `python analyses/article.py`.

What other analyses measure is read from their saved results in the folder of `--out`, if they are
there: run `lt-interp report` first, or the other recipes.
"""

from __future__ import annotations

from _recipe import run

# Every shipped stage; or name some, such as ["06_ffn", "07_block"].
CHECKPOINTS = None
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("article", checkpoints=CHECKPOINTS, corpus=CORPUS, seed=SEED)
