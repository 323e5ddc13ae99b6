"""What the words for the axes of a hook come to."""

from __future__ import annotations

from lt_interp.model.config import ModelConfig
from lt_interp.model.hook_table import Hook


def shape_of(hook: Hook, config: ModelConfig, *, batch: int, pos: int) -> tuple[int, ...]:
    """The size of every axis of a hook for an input of `batch` rows of `pos` tokens."""
    sizes = {
        "batch": batch,
        "pos": pos,
        "query": pos,
        "key": pos,
        "head": config.n_heads,
        "expert": config.experts.count if config.experts else 0,
        "d_model": config.d_model,
        "d_head": config.d_head,
        "d_mlp": config.d_mlp,
        "d_in": config.window * config.d_model,
        "d_vocab": config.d_vocab,
        "1": 1,
    }
    return tuple(sizes[axis] for axis in hook.shape.split())
