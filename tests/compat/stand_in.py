"""Stages of this project in place of the models that TransformerLens's tests build."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import lt_interp
from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.norm import LayerNorm
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage

# With these weights every writer that the tests drop matters, each differently, which they assert.
TOY_SEED = 5


class NotAStageError(Exception):
    """A test asks for a model that no stage is."""


class StandIn(StageModel):
    """A stage that also answers to what only TransformerBridge has, where that is another name.

    `used` counts how often one was built or run: a test that does neither says nothing about a
    stage.
    """

    used = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # the module that a bridge wraps; a stage wraps none and is its own
        self.__dict__["original_model"] = self
        StandIn.used += 1

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        StandIn.used += 1
        return super().forward(*args, **kwargs)

    def enable_compatibility_mode(self, **_: Any) -> None:
        """A bridge takes HookedTransformer's names on here; a stage always has them."""

    @property
    def _hook_registry(self) -> dict[str, Any]:
        return self.hook_dict

    def _gated_hook_reason(self, name: str) -> str | None:
        return self.flag_to_set(self.hook_dict[name])


# What a bridge calls `weight` and `bias` is `w` and `b` in HookedTransformer and here.
LayerNorm.weight = property(lambda self: self.w)  # type: ignore[attr-defined]
LayerNorm.bias = property(lambda self: self.b)  # type: ignore[attr-defined]


class WordTokenizer(Tokenizer):
    """A made-up vocabulary in which every word of a test's prompts is one token."""

    kind = "words"
    pad_id, unk_id, eos_id = 0, None, 0

    def __init__(self, n_tokens: int) -> None:
        tokens = [f"<{id}>" for id in range(n_tokens)]
        super().__init__(tokens, [token.encode() for token in tokens])
        self.ids: dict[str, int] = {}

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """An id for every word, in the order in which words first appear."""
        rows = [[self.ids.setdefault(word, 1 + len(self.ids)) for word in t.split()] for t in texts]
        return [np.array(row, dtype=np.int32) for row in rows]

    def save(self, folder: str | Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: str | Path, description: dict[str, Any]) -> Tokenizer:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageFactory:
    """Builds one stage in any size, or opens its shipped checkpoint whatever size is asked for."""

    stage: str
    shipped: bool = False

    def build(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_model: int,
        d_mlp: int,
        d_vocab: int,
        n_ctx: int,
        dtype: torch.dtype = torch.float32,
        norm: str | None = "LN",
        std: float | None = None,
        seed: int = 0,
        tokenizer: Tokenizer | None = None,
    ) -> StandIn:
        """A stage of that size with random weights, or the trained one in its own size."""
        stage = get_stage(self.stage)
        if self.shipped:
            trained = lt_interp.load(self.stage)
            model = StandIn(trained.config, tokenizer=trained.tokenizer, name=self.stage)
            model.load_state_dict(trained.state_dict())
            return model.to(dtype)
        config = dataclasses.replace(
            stage.config,
            n_layers=n_layers,
            n_heads=n_heads if stage.config.n_heads else 0,
            d_mlp=d_mlp if stage.config.d_mlp else 0,
            d_model=d_model,
            d_vocab=d_vocab,
            n_ctx=n_ctx,
            eos_id=0,
            wiring=_wiring(stage.config, norm),
        )
        model = StandIn(config, name=self.stage, tokenizer=tokenizer)
        if std:
            _draw_weights(model, std, seed)
        return model.to(dtype)

    def boot_native(self, cfg: Any, dtype: torch.dtype = torch.float32, **_: Any) -> StandIn:
        """In place of `TransformerBridge.boot_native`."""
        if (cfg.n_key_value_heads or cfg.n_heads) != cfg.n_heads:
            raise NotAStageError("grouped-query attention")
        if cfg.normalization_type not in ("LN", None):
            raise NotAStageError(f"{cfg.normalization_type} normalisation")
        return self.build(
            n_layers=cfg.n_layers,
            n_heads=cfg.n_heads,
            d_model=cfg.d_model,
            d_mlp=cfg.d_mlp or 4 * cfg.d_model,
            d_vocab=cfg.d_vocab,
            n_ctx=cfg.n_ctx,
            dtype=dtype,
            norm=cfg.normalization_type,
        )

    def boot_transformers(self, name: str, **_: Any) -> StandIn:
        """In place of `TransformerBridge.boot_transformers`: as deep as GPT-2, but narrower."""
        if name != "gpt2":
            raise NotAStageError(f"the model {name}")
        size = {"n_layers": 12, "n_heads": 12, "d_model": 48, "d_mlp": 96}
        words = WordTokenizer(64)
        return self.build(**size, d_vocab=64, n_ctx=16, tokenizer=words)

    def build_bridge_from_module(
        self, module: nn.Module, architecture: str, *, hf_config: Any, **_: Any
    ) -> StandIn:
        """In place of the bridge around a `transformers` model.

        Weights are drawn twice as wide as asked: at that spread, queries and keys of a stage are
        so small that attention is uniform and a path into them moves nothing but last digits.
        """
        if architecture != "GPT2LMHeadModel":
            raise NotAStageError(f"the architecture {architecture}")
        return self.build(
            n_layers=hf_config.n_layer,
            n_heads=hf_config.n_head,
            d_model=hf_config.n_embd,
            d_mlp=4 * hf_config.n_embd,
            d_vocab=hf_config.vocab_size,
            n_ctx=hf_config.n_positions,
            dtype=next(module.parameters()).dtype,
            std=2 * hf_config.initializer_range,
        )

    def mock(self, *_: Any, **__: Any) -> StandIn:
        """In place of their one-block mock."""
        return self.build(n_layers=1, n_heads=2, d_model=4, d_mlp=8, d_vocab=16, n_ctx=8)

    def toy(self, *_: Any, dtype: torch.dtype = torch.float32, **__: Any) -> Toy:
        """In place of the toys of the tests of attribution patching."""
        size = {"n_layers": 2, "n_heads": 2, "d_model": 4, "d_mlp": 8, "d_vocab": 6, "n_ctx": 8}
        model = self.build(**size, dtype=dtype, std=0.7, seed=TOY_SEED)
        model.__class__ = Toy
        return model


class Toy(StandIn):
    """A stage with the toys' own extras: prompts of three ids, and a count of forward passes."""

    forward_calls = 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.forward_calls += 1
        return super().forward(*args, **kwargs)

    def to_tokens(self, prompt: str, *_: Any, **__: Any) -> Tensor:
        return torch.tensor([[(3 * index + len(prompt)) % 6 for index in range(3)]])


def _wiring(config: ModelConfig, norm: str | None) -> Any:
    """The stage's own wiring, without LayerNorm where a test asks for a model that has none."""
    return dataclasses.replace(config.wiring, norm=norm if config.wiring.norm else None)


def _draw_weights(model: StageModel, std: float, seed: int) -> None:
    """Normal weights of the spread that a test asks for; effects scale with it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=std, generator=generator)
