"""The NumPy GPT: a byte-level model with the parts of Llama, small enough to read in full."""

from __future__ import annotations

from lt_interp.model.config import ModelConfig, Wiring
from lt_interp.stages.stage import Stage, by_id

_BYTE = Stage(
    id="byte_gpt",
    adds="start over: bytes, RMSNorm, SwiGLU, tied, no biases",
    family="numpy_gpt",
    tokenizer="byte",
    config=ModelConfig(
        d_vocab=256,
        n_ctx=128,
        d_model=64,
        positions="learned",
        n_layers=4,
        n_heads=4,
        d_mlp=172,  # about 8/3 of d_model: three matrices then weigh as much as two of 4 d_model
        activation="swiglu",
        mlp_bias=False,
        wiring=Wiring(residual=True, norm="RMS"),
        tied=True,
        eos_id=0,
    ),
)

NUMPY_GPT: dict[str, Stage] = by_id(_BYTE)
