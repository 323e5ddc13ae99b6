"""Where each weight of a stage stands in a checkpoint of the article's notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from einops import rearrange
from torch import Tensor

from lt_interp.model.config import ModelConfig

_SAME = "... -> ..."
_LINEAR = "d_out d_in -> d_in d_out"  # nn.Linear keeps its matrix transposed
_HEADS_OUT = "(head d_head) d_model -> head d_model d_head"
_HEADS_IN = "d_model (head d_head) -> head d_head d_model"
_MASKS = ("mask", "causal_mask")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One weight of ours and what it is made from.

    Attributes:
        ours: Its name in our state dict.
        theirs: Its possible keys in a checkpoint; the first is what the stage's notebook writes.
        shape: In the checkpoint.
        pattern: From their axes to ours, in einops' words.
        n_heads: What the axis `head` of the pattern holds.
    """

    ours: str
    theirs: tuple[str, ...]
    shape: tuple[int, ...]
    pattern: str = _SAME
    n_heads: int | None = None

    def arrange(self, tensor: Tensor) -> Tensor:
        """Their tensor with our axes."""
        sizes = {"head": self.n_heads} if self.n_heads else {}
        return rearrange(tensor, self.pattern, **sizes).contiguous()


def sources(config: ModelConfig) -> list[Source]:
    """Every weight of a stage of the ladder, in the order in which data flows through them.

    `embedding` became `token_embedding` in the notebooks when positions came; here each may stand
    for the other. A single block may be named `blocks.0` as several are, `block` as in notebook
    07, or its parts by themselves as in 04 to 06.
    """
    found = [
        Source(
            ours="embed.W_E", theirs=embedding_keys(config), shape=(config.d_vocab, config.d_model)
        )
    ]
    if config.positions:
        rows = (config.n_ctx, config.d_model)
        found.append(
            Source(ours="pos_embed.W_pos", theirs=("position_embedding.weight",), shape=rows)
        )
    for layer in range(config.depth):
        found += _block(config, layer)
    if config.has_blocks and config.wiring.norm:
        found += _norm("ln_final.", ("ln_final.",), config)
    read = config.window * config.d_model  # an n-gram's unembedding reads its window, oldest first
    return [*found, *_linear("unembed.", "U", ("unembed.",), d_in=read, d_out=config.d_vocab)]


def embedding_keys(config: ModelConfig) -> tuple[str, ...]:
    """The possible keys of the token embedding."""
    keys = ("token_embedding.weight", "embedding.weight")
    return keys if config.positions else keys[::-1]


def mask_keys(config: ModelConfig) -> list[str]:
    """Keys that hold no weight: the causal masks that a module keeps as buffers."""
    if not config.n_heads:
        return []
    prefixes = [p for layer in range(config.depth) for p in _prefixes(config, layer)]
    return [f"{prefix}attention.{mask}" for prefix in prefixes for mask in _MASKS]


def _prefixes(config: ModelConfig, layer: int) -> tuple[str, ...]:
    """What may stand before the parts of a block."""
    if config.depth > 1:
        return (f"blocks.{layer}.",)
    bare, single, listed = "", "block.", "blocks.0."
    return (single, listed, bare) if config.wiring.residual else (bare, single, listed)


def _block(config: ModelConfig, layer: int) -> Iterator[Source]:
    block, prefixes = f"blocks.{layer}.", _prefixes(config, layer)
    norm = bool(config.wiring.norm)
    if config.n_heads:
        if norm:
            yield from _norm(f"{block}ln1.", _under(prefixes, "ln1."), config)
        yield from _attention(f"{block}attn.", _under(prefixes, "attention."), config)
    if not config.d_mlp:
        return
    if norm:
        yield from _norm(f"{block}ln2.", _under(prefixes, "ln2."), config)
    if not config.experts:
        yield from _feed_forward(f"{block}mlp.", _under(prefixes, "ffn."), config)
        return
    for expert in range(config.experts.count):
        theirs = _under(prefixes, f"moe.experts.{expert}.")
        yield from _feed_forward(f"{block}mlp.experts.{expert}.", theirs, config)
    yield Source(
        ours=f"{block}mlp.router.weight",
        theirs=_under(prefixes, "moe.router.weight"),
        shape=(config.experts.count, config.d_model),
    )


def _attention(ours: str, theirs: tuple[str, ...], config: ModelConfig) -> Iterator[Source]:
    for letter in "QKVO":
        yield Source(
            ours=f"{ours}W_{letter}",
            theirs=_under(theirs, f"W_{letter.lower()}.weight"),
            shape=(config.d_model, config.d_model),
            pattern=_HEADS_IN if letter == "O" else _HEADS_OUT,
            n_heads=config.n_heads,
        )


def _feed_forward(ours: str, theirs: tuple[str, ...], config: ModelConfig) -> Iterator[Source]:
    narrow, wide = config.d_model, config.d_mlp
    yield from _linear(ours, "in", _under(theirs, "linear1."), d_in=narrow, d_out=wide)
    yield from _linear(ours, "out", _under(theirs, "linear2."), d_in=wide, d_out=narrow)


def _linear(
    ours: str, letter: str, theirs: tuple[str, ...], *, d_in: int, d_out: int
) -> Iterator[Source]:
    """A matrix and its bias."""
    weight, bias = _under(theirs, "weight"), _under(theirs, "bias")
    yield Source(ours=f"{ours}W_{letter}", theirs=weight, shape=(d_out, d_in), pattern=_LINEAR)
    yield Source(ours=f"{ours}b_{letter}", theirs=bias, shape=(d_out,))


def _norm(ours: str, theirs: tuple[str, ...], config: ModelConfig) -> Iterator[Source]:
    for letter, word in (("w", "weight"), ("b", "bias")):
        yield Source(ours=f"{ours}{letter}", theirs=_under(theirs, word), shape=(config.d_model,))


def _under(prefixes: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for prefix in prefixes)
