"""Where a stage's parameters are, counted from the shapes of its weights."""

from __future__ import annotations

import math

from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.model.stage_model import StageModel
from lt_interp.training.run_folder import Shapes, stored_shapes

# The first of these that a weight's name contains names its component.
_COMPONENTS = {
    "pos_embed": "position embedding",
    "unembed": "unembedding",
    "embed": "token embedding",
    "attn": "attention",
    "router": "router",
    "experts": "experts",
    "mlp": "feed-forward",
    "ln": "LayerNorm",
}
_IN_ORDER = (
    "token embedding",
    "position embedding",
    "attention",
    "feed-forward",
    "experts",
    "router",
    "LayerNorm",
    "unembedding",
)


def weight_shapes(checkpoint: Checkpoint) -> Shapes:
    """Shapes of a checkpoint's weights: of the file, or of the model in memory."""
    if checkpoint.folder is None:
        return model_shapes(checkpoint.load())
    return stored_shapes(checkpoint.folder)


def model_shapes(model: StageModel) -> Shapes:
    """Shapes of a model's weights."""
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


def count(shapes: Shapes) -> int:
    """Number of parameters.

    Example:
        >>> count({"embed.W_E": (4096, 128)})
        524288
    """
    return sum(math.prod(shape) for shape in shapes.values())


def count_by_component(shapes: Shapes) -> dict[str, int]:
    """Number of parameters of each component that is present, in the order data flows."""
    totals = dict.fromkeys(_IN_ORDER, 0)
    for name, shape in shapes.items():
        totals[_component(name)] += math.prod(shape)
    return {component: total for component, total in totals.items() if total}


def _component(name: str) -> str:
    return next(component for part, component in _COMPONENTS.items() if part in name)
