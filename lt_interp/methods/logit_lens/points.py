"""Where a stage can be read through its own unembedding, and what is read there.

The lens (nostalgebraist, "interpreting GPT: the logit lens", 2020) is
softmax(LN_final(h) W_U + b_U): the final LayerNorm, if the stage has one, before the unembedding.
On a residual stream every point is a state that the last one grew out of by addition. A stage
without a stream has vectors of the same width, but each part replaces what came before it (or, with
post-norm, a norm rewrites the sum), so nothing makes the unembedding fit them: such a reading is
descriptive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from lt_interp.model.config import ModelConfig
from lt_interp.model.parts.norm import RMSNorm
from lt_interp.model.stage_model import StageModel

# Two ways of summing some hundred float32 products differ by about 1e-5 of the largest result.
RELATIVE_BOUND = 1e-4


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place inside a stage.

    Attributes:
        name: Of its hook; of an embedding with its position, both hooks joined by `" + "`.
        layer: The block it belongs to; `None` outside the blocks.
        descriptive: The unembedding was not made to read it: it is no state of a residual stream,
            and not what the stage itself reads.
    """

    name: str
    layer: int | None
    descriptive: bool

    @property
    def hooks(self) -> list[str]:
        """The hooks whose activations are summed."""
        return self.name.split(" + ")


def why_not(config: ModelConfig) -> str | None:
    """Why a stage has nothing that the lens could read, in words."""
    if config.window > 1:
        return (
            f"its unembedding reads the embeddings of {config.window} tokens side by side, "
            f"{config.window * config.d_model} numbers; no vector inside it has that width before "
            "the last one, which is the stage's own prediction"
        )
    return None


def lens_points(config: ModelConfig) -> list[Point]:
    """The points of a stage, in the order in which data flows; the last is what it predicts from.

    A stream's state before a later block is its state after the block before, and is left out.
    """
    if config.has_residual:
        names: list[tuple[str, int | None]] = [("blocks.0.hook_resid_pre", 0)]
        for layer in range(config.depth):
            if config.n_heads and config.d_mlp:
                names.append((f"blocks.{layer}.hook_resid_mid", layer))
            names.append((f"blocks.{layer}.hook_resid_post", layer))
        last = names[-1][0]
        return [
            Point(name=name, layer=layer, descriptive=not config.has_stream and name != last)
            for name, layer in names
        ]
    names = [("hook_embed", None)]
    if config.embeds_positions:
        names.append(("hook_embed + hook_pos_embed", None))
    if config.average:
        names.append(("hook_pooled", None))
    for layer in range(config.depth):
        if config.n_heads:
            names.append((f"blocks.{layer}.hook_attn_out", layer))
        if config.d_mlp:
            names.append((f"blocks.{layer}.hook_mlp_out", layer))
    last = names[-1][0]
    return [Point(name=name, layer=layer, descriptive=name != last) for name, layer in names]


def run_for(
    model: StageModel, tokens: Int[Tensor, "batch pos"], hooks: set[str]
) -> tuple[dict[str, Tensor], Float[Tensor, "batch pos d_in"]]:
    """The activations of some hooks, and what the unembedding reads; no logits are made."""
    kept: dict[str, Tensor] = {}

    def keep(activation: Tensor, hook: HookPoint, *, name: str) -> None:
        kept[name] = activation

    with model.hooks(fwd_hooks=[(name, partial(keep, name=name)) for name in sorted(hooks)]):
        hidden = model.hidden(tokens)
    return kept, hidden


@torch.no_grad()
def read_points(
    model: StageModel, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "point batch pos d_model"]:
    """What the unembedding is given at each point: the activation after the final LayerNorm.

    Raises:
        RuntimeError: The last point is not what the model itself predicts from, so the lens would
            not be this model's; something outside it changed the end of its forward pass.
    """
    points = lens_points(model.config)
    kept, hidden = run_for(model, tokens, {hook for point in points for hook in point.hooks})
    sums = [torch.stack([kept[hook] for hook in point.hooks]).sum(dim=0) for point in points]
    vectors = final_norm(model, torch.stack(sums))
    _check_close(vectors[-1], hidden, "the vector before the unembedding")
    lens = torch.addmm(model.b_U, vectors[-1, 0], model.W_U)
    _check_close(lens, model.unembed(hidden[:1])[0], "the logits")
    return vectors


def final_norm(
    model: StageModel, x: Float[Tensor, "*any d_model"]
) -> Float[Tensor, "*any d_model"]:
    """The model's last norm without its hooks; the identity where it has none."""
    if not model.config.final_norm:
        return x
    norm = model.ln_final
    if isinstance(norm, RMSNorm):
        return nn.functional.rms_norm(x, x.shape[-1:], norm.w, norm.eps)
    return nn.functional.layer_norm(x, x.shape[-1:], norm.w, norm.b, norm.eps)


def _check_close(ours: Tensor, own: Tensor, what: str) -> None:
    """Refuse a last point that differs from the model by more than rounding."""
    error = float((ours - own).abs().max())
    bound = RELATIVE_BOUND * max(1.0, float(own.abs().max()))
    if not error <= bound:
        raise RuntimeError(
            f"at the last point of the logit lens {what} differ from the model's own by up to "
            f"{error:.2g} (rounding allows {bound:.2g}); take hooks that change the model off "
            "(model.reset_hooks(including_permanent=True)) before reading it"
        )
