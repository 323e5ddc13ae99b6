"""Where a fused kernel may stand in for steps in the open: in training, when nobody looks."""

from __future__ import annotations

from torch import nn
from transformer_lens.hook_points import HookPoint


def unseen(part: nn.Module, *points: HookPoint) -> bool:
    """Whether a part is in training mode and none of its hook points has a hook.

    A fused kernel computes the same function, rounded differently, without the results in
    between. A model that is looked into is in evaluation mode and takes every step in the open,
    so a hook that changes nothing changes no bit.
    """
    return part.training and not any(
        point._forward_hooks or point._forward_pre_hooks
        or point._backward_hooks or point._backward_pre_hooks
        for point in points
    )  # fmt: skip
