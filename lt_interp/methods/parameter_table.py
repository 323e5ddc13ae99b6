"""Where a model's parameters are: a formula for every component, its numbers and their product."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lt_interp.article import article_parameters
from lt_interp.model.config import NORM_NAMES, ModelConfig

Product = tuple[int | str, ...]
"""Factors: plain numbers, and sizes by their names in a config."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A line of the table.

    Attributes:
        name: `"attention"`, or a sum: `"one block"`, `"all blocks"`, `"total"`.
        weights: The matrices and vectors that are counted, by TransformerLens's names.
        formula: In the sizes of the config, such as `"4 × d_model × d_model"`; `"sum"` of what
            stands above.
        numbers: The same with their values, `"4 × 64 × 64"`.
        parameters: What that comes to.
        in_block: Whether it is one of the parts of a block, and counted for one block.
    """

    name: str
    weights: str
    formula: str
    numbers: str
    parameters: int
    in_block: bool = False


def parameter_table(config: ModelConfig) -> list[Component]:
    """The components of a model in the order data flows, sums included, the total last.

    Example:
        >>> for line in parameter_table(ModelConfig(d_vocab=7, d_model=3)):
        ...     print(line.name, "=", line.formula, "=", line.numbers, "=", line.parameters)
        token embedding = d_vocab × d_model = 7 × 3 = 21
        unembedding = d_model × d_vocab = 3 × 7 = 21
        unembedding bias = d_vocab = 7 = 7
        total = sum = 21 + 21 + 7 = 49
    """
    before = [_line(config, "token embedding", "W_E", ("d_vocab", "d_model"))]
    if config.embeds_positions:
        before.append(_line(config, "position embedding", "W_pos", ("n_ctx", "d_model")))
    block = _block(config)
    blocks = [_sum("one block", block), _blocks(config, block)] if block else []
    after = [*_final_norm(config), *_unembedding(config)]
    outside = [*before, *blocks[1:], *after]
    return [*before, *block, *blocks, *after, _sum("total", outside)]


def compared(stage: str, config: ModelConfig) -> Iterator[dict[str, Any]]:
    """The lines of a stage's parameter table, each beside its article's, if that has one."""
    published = article_parameters(stage)
    for line in parameter_table(config):
        theirs = published.get(line.name)
        yield {
            "component": line.name,
            "weights": line.weights,
            "formula": line.formula,
            "numbers": line.numbers,
            "parameters": line.parameters,
            "article_parameters": theirs,
            "difference": None if theirs is None else line.parameters - theirs,
            "in_block": line.in_block,
        }


def _block(config: ModelConfig) -> list[Component]:
    """The parts of one block."""
    if not config.depth:
        return []
    parts = []
    if config.n_heads:
        attention: Product = (4, "d_model", "d_model")
        parts.append(_line(config, "attention", "W_Q, W_K, W_V, W_O", attention, in_block=True))
    if config.d_mlp:
        parts += _feed_forward(config)
    if config.wiring.norm:
        names = [*(["ln1"] if config.n_heads else []), *(["ln2"] if config.d_mlp else [])]
        parts.append(_norms(config, "norms", names, in_block=True))
    return parts


def _feed_forward(config: ModelConfig) -> list[Component]:
    """Matrices and biases of the feed-forward layer, or of all experts and their router."""
    gated = config.activation == "swiglu"
    copies: Product = (config.experts.count,) if config.experts else ()
    name = "experts" if config.experts else "feed-forward"
    weights = "W_gate, W_in, W_out" if gated else "W_in, W_out"
    matrices: Product = (*copies, 3 if gated else 2, "d_model", "d_mlp")
    parts = [_line(config, name, weights, matrices, in_block=True)]
    if config.mlp_bias:
        biases = [(*copies, "d_mlp"), (*copies, "d_model")]
        parts.append(_line(config, f"{name} biases", "b_in, b_out", *biases, in_block=True))
    if config.experts:
        router: Product = ("d_model", config.experts.count)
        parts.append(_line(config, "router", "router.weight", router, in_block=True))
    return parts


def _final_norm(config: ModelConfig) -> list[Component]:
    return [_norms(config, "final norm", ["ln_final"])] if config.final_norm else []


def _norms(
    config: ModelConfig, name: str, norms: list[str], *, in_block: bool = False
) -> Component:
    """Norms of one kind: a scale each, and for LayerNorm a shift."""
    assert config.wiring.norm is not None
    letters = "w, b" if NORM_NAMES[config.wiring.norm] == "LayerNorm" else "w"
    sizes: Product = (*_many(len(norms)), *_many(len(letters.split())), "d_model")
    weights = f"{letters} of {', '.join(norms)}"
    return _line(config, name, weights, sizes, in_block=in_block)


def _many(n: int) -> Product:
    """A factor, left out where it is 1."""
    return (n,) if n > 1 else ()


def _unembedding(config: ModelConfig) -> list[Component]:
    if config.tied:
        return [Component(name="unembedding", weights="W_E again", formula="tied", numbers="tied",
                          parameters=0)]  # fmt: skip
    matrix: Product = (*_many(config.window), "d_model", "d_vocab")
    bias = [_line(config, "unembedding bias", "b_U", ("d_vocab",))] if config.unembed_bias else []
    return [_line(config, "unembedding", "W_U", matrix), *bias]


def _line(
    config: ModelConfig, name: str, weights: str, *products: Product, in_block: bool = False
) -> Component:
    """A component from the products that add up to it."""
    values = [
        [getattr(config, f) if isinstance(f, str) else f for f in product] for product in products
    ]
    return Component(
        name=name,
        weights=weights,
        formula=" + ".join(_times(product) for product in products),
        numbers=" + ".join(_times(product) for product in values),
        parameters=sum(math.prod(product) for product in values),
        in_block=in_block,
    )


def _blocks(config: ModelConfig, block: list[Component]) -> Component:
    one = sum(part.parameters for part in block)
    return Component(
        name="all blocks",
        weights="",
        formula="n_layers × one block",
        numbers=f"{config.n_layers} × {one:,}",
        parameters=config.n_layers * one,
    )


def _sum(name: str, parts: list[Component]) -> Component:
    counted = [part for part in parts if part.parameters]
    return Component(
        name=name,
        weights="",
        formula="sum",
        numbers=" + ".join(f"{part.parameters:,}" for part in counted),
        parameters=sum(part.parameters for part in counted),
    )


def _times(factors: Product | list[int]) -> str:
    return " × ".join(f"{f:,}" if isinstance(f, int) else f for f in factors)
