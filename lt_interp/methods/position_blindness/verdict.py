"""From differences to a verdict: blind, a window of n tokens, or sensitive to order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

from lt_interp.model.config import ModelConfig

BLIND = "blind by construction"
BLIND_AS_MEASURED = "blind as far as measured"
SENSITIVE = "order-sensitive"


def expected_window(config: ModelConfig) -> int | None:
    """How many tokens at the end the architecture alone lets a prediction read in their order.

    1 means that only the last token has a place and everything before it is a bag: a mean of the
    prefix has no order, even with positions added, since their mean is the same in every order; a
    bigram reads nothing else; one causal attention layer without positions weighs a bag by the
    last token. A second layer would read what the first one masked by place, so order leaks into
    it. `None` means all.
    """
    if config.average:
        return 1
    if not config.n_heads:
        return config.window
    return 1 if config.depth == 1 and not config.positions else None


def expected_verdict(config: ModelConfig) -> str:
    """The verdict that the architecture leads to expect of any weights."""
    return _words(expected_window(config))


def window_verdict(config: ModelConfig, window: int | None) -> str:
    """The verdict on a measured window.

    Blindness is by construction only where the architecture forces it; weights that happen to be
    blind are called so as far as measured.

    Args:
        config: The stage.
        window: As `measured_window` found it.
    """
    if window == 1 and expected_window(config) != 1:
        return BLIND_AS_MEASURED
    return _words(window)


def measured_window(
    distance: Int[np.ndarray, " swap"],
    moves: Bool[np.ndarray, " swap"],
    nothing_behind: Callable[[int], bool],
    *,
    longest: int,
) -> int | None:
    """The fewest tokens at the end whose order is all that a stage reads.

    The farthest swap that moves a logit says how long the window is at least. It is believed only
    if shuffling everything before it moves nothing either, which swaps of two neighbours at some
    distances do not say; if it does, a longer one is searched by bisection.

    Args:
        distance: Of every swap from the last token.
        moves: Whether it moves a logit beyond rounding.
        nothing_behind: Whether shuffling behind the last `n` tokens moves nothing; once true, true
            for every longer `n`.
        longest: The longest window that can be told from reading everything.

    Returns:
        The window, 1 where no order matters; `None` where there is no end to it.
    """
    least = int(distance[moves].max(initial=0)) + 1
    if least > longest:
        return None
    if nothing_behind(least):
        return least
    if not nothing_behind(longest):
        return None
    longer = range(least + 1, longest)
    return least + 1 + bisect_left(longer, True, key=nothing_behind)


def _words(window: int | None) -> str:
    if window is None:
        return SENSITIVE
    return BLIND if window == 1 else f"reads only a window of {window}"
