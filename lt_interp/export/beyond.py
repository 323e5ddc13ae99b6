"""Parts that no export is written for, in either format."""

from __future__ import annotations

from lt_interp.model.config import POSITION_NAMES, ModelConfig


def why_not_written(config: ModelConfig) -> str | None:
    """What a model has that no export carries over; `None` if there is nothing."""
    if config.wiring.norm == "RMS" or config.wiring.norm_after:
        return "exports are written for LayerNorm before each part, and its norms are others"
    if config.positions not in (None, "learned"):
        own = POSITION_NAMES[config.positions]
        return f"exports are written for learned positions or none, and its own are {own}"
    if config.activation == "swiglu":
        return "exports are written for ReLU and GELU layers, and its own are SwiGLU"
    return None
