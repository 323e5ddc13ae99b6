"""What the tables of the routing analysis call things, for those who write them and who read them.

It stands beside the analysis and not in it, so that a page can be drawn without torch.
"""

from __future__ import annotations

POOLED = "pooled"  # all layers together, where a layer's number stands otherwise

# Routings that mean nothing, and the trained router where it reads less.
SHUFFLED = "shuffled in the corpus"
SHUFFLED_BINS = "shuffled within position bins"
RANDOM = "random router"
UNTRAINED = "untrained stage, random router"
WITHOUT_CONTEXT = "embeddings alone, own router"
WITHOUT_CONTEXT_RANDOM = "embeddings alone, random router"
TOKEN_ALONE = "token embedding alone, own router"

# What is measured of each.
LARGEST_LOAD = "largest load"
TOKEN_SHARE = "information of the token, share of entropy"
N_OVER = "tokens over 80%"
OVER_SHARE = "share of decisions by tokens over 80%"
N_DISCOVERIES = "discoveries"
AGREEMENT = "decisions that the embeddings alone give too"
KAPPA = "the same, beyond chance (kappa)"

# How feeling words are matched with others, and what is done to the routing to see what it does.
FREQUENCY, CLASS_TOO = "frequency", "frequency and class"
OTHER_EXPERT = "sent to the other expert"

# The classes of tokens that tell a story, and those of structure.
STORY = ("name", "verb", "noun", "adjective")
STRUCTURE = ("function word", "punctuation")
