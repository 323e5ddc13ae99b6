"""What attention has computed of earlier positions and need not compute again."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class Past:
    """Keys and values of every layer, up to the position that was read last.

    A model given its past reads only what comes after it, at positions that continue there; the
    hooks of such a run carry the new positions alone.
    """

    def __init__(self, n_layers: int, *, room: int = 0) -> None:
        """Begin with nothing.

        Args:
            n_layers: How many layers have attention.
            room: Positions to set memory aside for. What fits is written in place instead of
                being copied with all that came before it, which gradients do not survive.
        """
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * n_layers
        self._room = room
        self._memory: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    @property
    def length(self) -> int:
        """How many positions have been read."""
        return self.first(0)

    def first(self, layer: int) -> int:
        """The position at which a layer goes on."""
        kept = self._layers[layer]
        return kept[0].shape[1] if kept else 0

    def extend(
        self,
        layer: int,
        keys: Float[Tensor, "batch pos head d_head"],
        values: Float[Tensor, "batch pos head d_head"],
    ) -> tuple[Float[Tensor, "batch key head d_head"], Float[Tensor, "batch key head d_head"]]:
        """Append a layer's new keys and values, and return all it has.

        Args:
            layer: Which layer.
            keys: As they enter the scores: turned, where positions are rotary.
            values: Of the same positions.
        """
        kept, first = self._layers[layer], self.first(layer)
        last = first + keys.shape[1]
        if last <= self._room:
            memory = self._memory[layer] or (self._roomy(keys), self._roomy(values))
            self._memory[layer] = memory
            keys, values = (_written(*pair, first) for pair in zip(memory, (keys, values)))
        elif kept:
            keys, values = (torch.cat(pair, dim=1) for pair in zip(kept, (keys, values)))
            self._memory[layer] = None
        self._layers[layer] = (keys, values)
        return keys, values

    def _roomy(self, tensor: Float[Tensor, "batch pos head d_head"]) -> Tensor:
        """Memory for all positions there is room for."""
        return tensor.new_empty(tensor.shape[0], self._room, *tensor.shape[2:])

    def copy(self) -> Past:
        """The same past, to go on from without changing this one.

        What was read is shared, the room to read on is not.
        """
        other = Past(len(self._layers))
        other._layers = list(self._layers)
        return other

    @property
    def n_bytes(self) -> int:
        """What the kept keys and values take."""
        kept = [tensor for layer in self._layers if layer for tensor in layer]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)


def _written(
    memory: Float[Tensor, "batch room head d_head"],
    new: Float[Tensor, "rows pos head d_head"],
    first: int,
) -> Float[Tensor, "batch key head d_head"]:
    """Write positions from `first` on, and return all up to the last of them."""
    if (len(memory), memory.dtype) != (len(new), new.dtype):  # an assignment would stretch or cast
        raise ValueError(f"{len(new)} rows of {new.dtype} after {len(memory)} of {memory.dtype}")
    last = first + new.shape[1]
    memory[:, first:last] = new
    return memory[:, :last]
