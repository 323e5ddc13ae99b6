"""What a pickle would do, read off its instructions before any of them is carried out."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterable
from typing import Any

# torch carries out a short list of functions; of these, what asks for any amount of memory.
_HUNGRY = ("builtins.bytearray", "__builtin__.bytearray")
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT", "PUT"), ("BINGET", "LONG_BINGET", "GET")
# A tuple of tuples of tuples, each twice the one before, is hashed for ever. Optimizers name a
# tuple again in a few places.
MOST_REPEATED_TUPLES = 32


def what_is_asked(data: bytes, *, n_pickles: int = 1) -> str | None:
    """What instructions ask for that no state dict needs; `None` if there is nothing.

    What follows after the end of well-formed instructions is not carried out, so it is not read.

    Args:
        data: Begins with that many pickles, one after another.
        n_pickles: How many are read.
    """
    stream = io.BytesIO(data)
    try:
        reasons = (_asked_by(pickletools.genops(stream)) for _ in range(n_pickles))
        return next((reason for reason in reasons if reason), None)
    except ValueError:
        return None


def asked_for(function: str) -> str:
    """What is said of a pickle that asks for a function."""
    return f"asks for {function} to be run while it is read, and nothing of it was"


def _asked_by(instructions: Iterable[tuple[pickletools.OpcodeInfo, Any, int | None]]) -> str | None:
    """The same of one pickle; its instructions are read to the end."""
    repeated, tuples, on_top = 0, set[Any](), False
    for code, argument, _ in instructions:
        if code.name in ("GLOBAL", "INST"):
            asked = str(argument).replace(" ", ".")
            if asked in _HUNGRY:
                return asked_for(asked)
        if code.name in _PUTS:
            if on_top:
                tuples.add(argument)
            continue
        again = code.name in _GETS and argument in tuples
        repeated += again
        if repeated > MOST_REPEATED_TUPLES:
            return "piles up tuples, which no state dict does"
        on_top = again or code.name in _TUPLES
    return None
