"""Choose the shipped prompt pairs anew: `python analyses/choose_prompt_pairs.py`.

To be repeated when 09_multi_head has been trained again: every pair that is shipped is one that
this stage gets right.
"""

from __future__ import annotations

from pathlib import Path

import lt_interp.methods.activation_patching as package
from lt_interp.files import sha256_file
from lt_interp.methods.activation_patching.choose_pairs import choose_pairs
from lt_interp.methods.activation_patching.prompt_pairs import PAIRS, write_pairs
from lt_interp.training.checkpoint import load
from lt_interp.training.run_folder import WEIGHTS, find_checkpoint

CHECKPOINT = "09_multi_head"
PER_TEMPLATE = 14
# How far, in nats of the logits, the right answer lies above the wrong one on both sides.
MARGIN_NATS = 1.5
SEED = 0

if __name__ == "__main__":
    pairs = choose_pairs(
        load(CHECKPOINT), per_template=PER_TEMPLATE, margin_nats=MARGIN_NATS, seed=SEED
    )
    chosen = {
        "checkpoint": CHECKPOINT,
        "weights_sha256": sha256_file(find_checkpoint(CHECKPOINT) / WEIGHTS),
        "margin_nats": MARGIN_NATS,
        "per_template": PER_TEMPLATE,
        "seed": SEED,
    }
    folder = Path(str(package.__file__)).parent
    write_pairs(folder / PAIRS, pairs, chosen=chosen)
    print(f"wrote {len(pairs)} pairs of {len({pair.template for pair in pairs})} templates")
