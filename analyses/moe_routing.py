"""What the experts specialise in, beside random routers: `python analyses/moe_routing.py`."""

from __future__ import annotations

from _recipe import run

# Every shipped checkpoint; those without experts get a row that says so.
CHECKPOINTS = None
# Token-and-layer decisions, about as many as in the article.
TOKENS = 250_000
CORPUS = "embedded"
SEED = 0

if __name__ == "__main__":
    run("moe_routing", checkpoints=CHECKPOINTS, corpus=CORPUS, seed=SEED, tokens=TOKENS)
