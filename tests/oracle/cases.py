"""The models that are compared, and what HookedTransformer is given of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lt_interp.corpus.sources import Corpus
from lt_interp.export.hooked_transformer import (
    hooked_transformer_config,
    hooked_transformer_weights,
    why_not_hooked_transformer,
)
from lt_interp.files import write_json
from lt_interp.model.config import PRE_NORM_RESIDUAL, ModelConfig, Wiring
from lt_interp.model.parts.norm import LayerNorm
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER
from lt_interp.training.checkpoint import load

SHIPPED = [s.id for s in LADDER.values() if not why_not_hooked_transformer(s.config)]
COMPOSED = ["10_moe", "10_moe_gated"]

_SMALL: dict[str, Any] = {"d_vocab": 40, "n_ctx": 32, "d_model": 24}
_BLOCKS: dict[str, Any] = _SMALL | {"n_layers": 3, "n_heads": 3, "d_mlp": 40}
RANDOM = {
    "3 layers of 3 heads": ModelConfig(**_BLOCKS, positions="learned", wiring=PRE_NORM_RESIDUAL),
    "attention only": ModelConfig(
        **_BLOCKS | {"d_mlp": 0}, positions="learned", wiring=PRE_NORM_RESIDUAL
    ),
    "without LayerNorm": ModelConfig(**_BLOCKS, positions="learned", wiring=Wiring(residual=True)),
    "without positions": ModelConfig(**_BLOCKS, wiring=PRE_NORM_RESIDUAL),
    "GELU": ModelConfig(
        **_BLOCKS, activation="gelu", positions="learned", wiring=PRE_NORM_RESIDUAL
    ),
    "tied, without biases": ModelConfig(
        **_BLOCKS, tied=True, mlp_bias=False, positions="learned", wiring=PRE_NORM_RESIDUAL
    ),
    "unembedding without bias": ModelConfig(
        **_BLOCKS, unembed_bias=False, positions="learned", wiring=PRE_NORM_RESIDUAL
    ),
    "positions, no blocks": ModelConfig(**_SMALL, positions="learned"),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model to compare.

    Attributes:
        name: The stage's id, or what a random model is made of.
        kind: "shipped", "random", or "composed": a mixture, which the class cannot hold, with
            TransformerLens's own feed-forward layers put in the place of its experts.
        open: Builds the model.
    """

    name: str
    kind: str
    open: Callable[[], StageModel]


def all_cases() -> list[Case]:
    """Every stage that the class can hold, random models of other shapes, and the mixtures."""
    return [
        *(Case(name=name, kind="shipped", open=lambda name=name: load(name)) for name in SHIPPED),
        *(
            Case(name=name, kind="random", open=lambda config=config: random_model(config))
            for name, config in RANDOM.items()
        ),
        *(Case(name=name, kind="composed", open=lambda name=name: load(name)) for name in COMPOSED),
    ]


def random_model(config: ModelConfig, seed: int = 0) -> StageModel:
    """Random weights everywhere, in LayerNorms too."""
    model = StageModel(config, name="random", seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, LayerNorm):
                part.w.copy_(torch.rand(part.w.shape, generator=generator) + 0.5)
                part.b.copy_(torch.randn(part.b.shape, generator=generator) * 0.3)
    return model


def rows_of(model: StageModel, stories: Sequence[str]) -> list[Tensor]:
    """One row of ids a story, cut to the context; random ids for a random model."""
    if model.tokenizer is None:
        generator = torch.Generator().manual_seed(5)
        config = model.config
        return list(torch.randint(config.d_vocab, (3, 1, config.n_ctx), generator=generator))
    return [model.to_tokens(story) for story in stories]


def first_stories(corpus: Corpus, n: int) -> list[str]:
    """The first stories of a corpus."""
    return [story for story, _ in zip(corpus.stories(), range(n), strict=False)]


def write_case(case: Case, model: StageModel, rows: Sequence[Tensor], folder: Path) -> None:
    """What `theirs.py` reads."""
    config, weights = hooked_transformer_config(model), hooked_transformer_weights(model)
    if case.kind == "composed":
        experts = model.config.experts
        assert experts is not None
        config |= {"num_experts": experts.count, "experts_per_token": 1}
        # of one chosen expert, normalised, the weight is 1: that is how it leaves the weight out
        config["norm_topk_prob"] = not experts.gated
        weights = {name.replace(".router.", ".W_gate."): t for name, t in weights.items()}
    write_json(folder / "config.json", config)
    save_file(weights, folder / "model.safetensors")
    save_file({str(i): row for i, row in enumerate(rows)}, folder / "tokens.safetensors")
