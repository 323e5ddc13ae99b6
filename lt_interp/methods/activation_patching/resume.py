"""The rest of a forward pass: from a block and a position on, up to what the last prediction reads.

What a patch cannot have changed is taken from the unpatched run: the blocks before the patched one
by the stream that enters it, the positions before the patched one by their keys and values. What
nothing reads is left out: past the last attention, every position but the last. The modules and
their hooks are the model's own, in the order of `Block.forward`, and the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.run import Run
from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.block import Block
from lt_interp.model.parts.past import Past
from lt_interp.model.stage_model import StageModel

BATCH_TOKENS = 2048  # the activations of a block then fit into a processor's cache
EMBEDDING = -1  # in place of a layer: before all blocks


@dataclass(frozen=True, order=True)
class Start:
    """Where a run can begin.

    Attributes:
        layer: At which block; `EMBEDDING` for the embedding.
        position: At which position.
    """

    layer: int
    position: int


WHOLE = Start(EMBEDDING, 0)


def start_of(config: ModelConfig, cell: Cell, position: int) -> Start:
    """Where a run can begin that is patched in a cell, from a position on."""
    layer = EMBEDDING if cell.layer is None or not config.has_residual else cell.layer
    # keys and values are all that later positions ever read of earlier ones; a mean or a window
    # over embeddings has none, and begins where the row does
    return Start(layer, position if config.n_heads else 0)


def start_hooks(config: ModelConfig, cells: Iterable[Cell]) -> set[str]:
    """What has to be recorded of the unpatched run, so that runs of these cells can begin late."""
    layers = {start_of(config, cell, 0).layer for cell in cells} - {EMBEDDING}
    read = range(config.depth if config.n_heads else 0)
    past = {name for layer in read for name in _kept_hooks(config, layer)}
    return past | {_stream(layer) for layer in layers}


def resume(
    model: StageModel, target: Run, start: Start, *, n_cells: int
) -> Float[Tensor, "row 1 d_in"]:
    """What the unembedding reads at the last position, the target's prompts once for each cell.

    Args:
        model: Any stage, with the cells' hooks in place.
        target: The unpatched run, with `start_hooks` recorded.
        start: Where to begin; `WHOLE` runs everything, at every position.
        n_cells: How often; a row of the result is a pair of a cell, cells outermost.
    """
    past = _past(model.config, target, start, n_cells)
    if start.layer == EMBEDDING:
        tokens = _repeat(target.tokens[:, start.position :], n_cells)
        return model.hidden(tokens, past=past)[:, -1:]
    # of a single pair the repeated rows are one row seen many times, and hooks write into them
    x = _repeat(target.activations[_stream(start.layer)][:, start.position :], n_cells).contiguous()
    return through(model, x, start.layer, past)


def through(
    model: StageModel,
    x: Float[Tensor, "row pos d_model"],
    layer: int = 0,
    past: Past | None = None,
) -> Float[Tensor, "row 1 d_model"]:
    """What the unembedding reads at the last position, from the stream before a block.

    Args:
        model: A stage with a stream.
        x: The stream.
        layer: The block.
        past: What attention has read before.
    """
    *before, last = model.blocks[layer:]
    for block in before:
        x = block(x, past)
    x = last_position(last, x, past)
    return model.normalised(x)


def last_position(
    block: Block, x: Float[Tensor, "row pos d_model"], past: Past | None = None
) -> Float[Tensor, "row 1 d_model"]:
    """`block(x, past)[:, -1:]`, without what nothing reads: past attention, the other positions.

    It saves most of the block: its feed-forward layer.

    Args:
        block: A block around a stream.
        x: The stream.
        past: What attention has read before.
    """
    x = block.hook_resid_pre(x)
    last = x[:, -1:]
    if block.attn:
        last = block.after(block.ln1, last + block.attend(x, past)[:, -1:])
    if block.attn and block.mlp:
        last = block.hook_resid_mid(last)
    if block.mlp:
        last = block.after(block.ln2, last + block.think(last))
    return block.hook_resid_post(last)


def _past(config: ModelConfig, target: Run, start: Start, n_cells: int) -> Past | None:
    """What attention has read before the start, once for each cell."""
    if not start.position:
        return None
    past = Past(config.depth)
    for layer in range(max(start.layer, 0), config.depth):
        keys, values = (
            _repeat(target.activations[name][:, : start.position], n_cells)
            for name in _kept_hooks(config, layer)
        )
        past.extend(layer, keys, values)
    return past


def _kept_hooks(config: ModelConfig, layer: int) -> tuple[str, str]:
    """The hooks of the keys, as they enter the scores, and of the values."""
    keys = "hook_rot_k" if config.positions == "rotary" else "hook_k"
    return f"blocks.{layer}.attn.{keys}", f"blocks.{layer}.attn.hook_v"


def _stream(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_pre"


def _repeat(rows: Int[Tensor, "pair ..."] | Float[Tensor, "pair ..."], n_cells: int) -> Tensor:
    """Every pair once for each cell."""
    return repeat(rows, "pair ... -> (cell pair) ...", cell=n_cells)
