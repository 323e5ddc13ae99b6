"""Where a fused kernel may stand in for steps in the open: on request, and where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from transformer_lens.hook_points import HookPoint

_FUSING: ContextVar[bool] = ContextVar("fusing", default=False)


@contextmanager
def fused() -> Iterator[None]:
    """Let parts use fused kernels: training and generation ask for it, analyses never do.

    A fused kernel computes the same function, rounded differently, without the results in
    between. Outside of this every step is taken in the open, hooked or not, so that a hook which
    changes nothing changes no bit.
    """
    token = _FUSING.set(True)
    try:
        yield
    finally:
        _FUSING.reset(token)


def unseen(*points: HookPoint) -> bool:
    """Whether fused kernels are asked for and none of these hook points has a hook."""
    return _FUSING.get() and not any(
        point._forward_hooks or point._forward_pre_hooks
        or point._backward_hooks or point._backward_pre_hooks
        for point in points
    )  # fmt: skip
