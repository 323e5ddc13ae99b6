"""What a pickle would do, read off its instructions before any of them is carried out."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator

from lt_interp.errors import InputError

# torch carries out a short list of functions; of these, what asks for any amount of memory.
_HUNGRY = ("builtins.bytearray", "__builtin__.bytearray")
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT", "PUT"), ("BINGET", "LONG_BINGET", "GET")
# A tuple of tuples of tuples, each twice the one before, is hashed for ever. Optimizers name a
# tuple again in a few places.
MOST_REPEATED_TUPLES = 32


def check_pickles(data: bytes, *, n_pickles: int = 1) -> None:
    """Refuse instructions that no state dict needs.

    Args:
        data: Begins with that many pickles, one after another.
        n_pickles: How many are read.

    Raises:
        InputError: A function is asked for that no state dict needs, or tuples are piled up.
        ValueError: These are no pickles.
    """
    stream = io.BytesIO(data)
    for _ in range(n_pickles):
        repeated, tuples, last = 0, set[int | str | None](), ""
        for name, argument in _instructions(stream):
            if name in ("GLOBAL", "INST") and (asked := str(argument).replace(" ", ".")) in _HUNGRY:
                raise InputError(f"asks for {asked} to be run while it is read")
            if name in _GETS and argument in tuples:
                repeated += 1
            is_tuple = name in _TUPLES or (name in _GETS and argument in tuples)
            if name in _PUTS:
                if last == "tuple":
                    tuples.add(argument)
            else:
                last = "tuple" if is_tuple else name
            if repeated > MOST_REPEATED_TUPLES:
                raise InputError("piles up tuples, which no state dict does")


def _instructions(stream: io.BytesIO) -> Iterator[tuple[str, int | str | None]]:
    for code, argument, _ in pickletools.genops(stream):
        yield code.name, argument
