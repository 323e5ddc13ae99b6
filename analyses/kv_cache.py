"""Time and memory of a KV cache against the length of the text: `python analyses/kv_cache.py`."""

from __future__ import annotations

from _recipe import run_experiment

from lt_interp.methods.kv_cache import kv_cache

STAGES = ("char_gpt", "byte_gpt", "gpt_learned")
LENGTHS = (16, 32, 64, 127, 256, 384, 511)

if __name__ == "__main__":
    run_experiment("four_layer_gpt", kv_cache, stages=STAGES, lengths=LENGTHS)
