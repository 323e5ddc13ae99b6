"""Direct logit attribution: how much each part of a stage adds to the true next token's logit.

Where the vector before the final LayerNorm is a sum of what the parts wrote, and that LayerNorm's
divisor is taken as it is (frozen), the logit of a token is a sum too (Elhage et al. 2021, "A
Mathematical Framework for Transformer Circuits"). A logit means nothing by itself, since a
constant added to all of them changes no probability, so each part's share is of the logit **minus
the mean logit over the vocabulary**. With m(W_U) the mean of the columns of W_U and c(v) = v -
mean(v), a part that writes v gives token t

    c(v) / divisor * ln_final.w . (W_U[:, t] - m(W_U)),

and the two constants stand as parts of their own: `ln_final.b` gives ln_final.b . (W_U[:, t] -
m(W_U)), `b_U` gives b_U[t] - mean(b_U). The shares then add up to the whole, which is checked on
every token that is measured. TransformerLens's `logit_attrs` leaves both constants out and
subtracts no mean: its shares add up to the logit - b_U - ln_final.b . W_U.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.methods.logit_lens.points import lens_points, run_for
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

CONSTANTS = ("ln_final.b", "b_U")
TOLERANCE = 1e-4  # of the largest number that is added up, or of 1 where that is smaller


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part that writes a vector, or one of the two constants.

    Attributes:
        name: `embed`, `pos_embed`, `L0H1` for a head, `0_mlp_out`, `ln_final.b` or `b_U`.
        layer: The block it stands in.
        head: Its number in the block.
    """

    name: str
    layer: int | None = None
    head: int | None = None

    @property
    def constant(self) -> bool:
        """Whether it is the same at every position, so that dealing tokens out changes nothing."""
        return self.name in CONSTANTS


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """Shares of the parts, and how well they add up.

    Attributes:
        shares: Of the token's logit minus the mean logit.
        shuffled: The same for other tokens; `None` if none were given.
        logit: The token's logit minus the mean logit, from the model's own forward pass.
        residual_error: Largest difference between the sum of the parts and what the stage
            predicts from, over the allowed one; at most 1 passes.
        logit_error: The same between the sum of the shares and `logit`.
    """

    shares: Float[Tensor, "component n"]
    shuffled: Float[Tensor, "component n"] | None
    logit: Float[Tensor, " n"]
    residual_error: float
    logit_error: float


def components(config: ModelConfig) -> list[Component]:
    """The parts of a stage in the order in which they write, the constants last."""
    found = [Component(name="embed")]
    if config.embeds_positions:
        found.append(Component(name="pos_embed"))
    for layer in range(config.depth):
        found += [
            Component(name=f"L{layer}H{head}", layer=layer, head=head)
            for head in range(config.n_heads)
        ]
        if config.d_mlp:
            found.append(Component(name=f"{layer}_mlp_out", layer=layer))
    if config.final_norm:
        found.append(Component(name=CONSTANTS[0]))
    return [*found, Component(name=CONSTANTS[1])]


@torch.no_grad()
def attribute(
    model: StageModel,
    tokens: Int[Tensor, "batch pos"],
    targets: Int[Tensor, "batch pos"],
    shuffled: Int[Tensor, "batch pos"] | None = None,
) -> Attribution:
    """Split the logit of a token at every position.

    Nothing is refused here: the errors say whether the shares mean anything.

    Args:
        model: A stage whose unembedding reads `d_model` numbers.
        tokens: What it reads.
        targets: The token at each position whose logit is split.
        shuffled: Other tokens to split as well.
    """
    written, end, hidden = _written(model, tokens)
    logit = _centred_logit(model, hidden, targets.flatten())
    shares = _shares(model, written, end, targets.flatten())
    return Attribution(
        shares=shares,
        shuffled=None if shuffled is None else _shares(model, written, end, shuffled.flatten()),
        logit=logit,
        residual_error=_error(written.sum(dim=0), end),
        logit_error=_error(shares.sum(dim=0), logit),
    )


def _written(
    model: StageModel, tokens: Int[Tensor, "batch pos"]
) -> tuple[
    Float[Tensor, "component n d_model"], Float[Tensor, "n d_model"], Float[Tensor, "n d_model"]
]:
    """What each part writes, what the stage predicts from, and that after the last LayerNorm."""
    config, ends = model.config, lens_points(model.config)[-1].hooks
    hooks = {"hook_embed", *ends} | ({"hook_pos_embed"} if config.embeds_positions else set())
    for layer in range(config.depth):
        hooks |= {f"blocks.{layer}.attn.hook_z"} if config.n_heads else set()
        hooks |= {f"blocks.{layer}.hook_mlp_out"} if config.d_mlp else set()
    kept, hidden = run_for(model, tokens, hooks)
    parts = [kept["hook_embed"][None]]
    if config.embeds_positions:
        parts.append(kept["hook_pos_embed"][None])
    for layer in range(config.depth):
        if config.n_heads:
            z, W_O = kept[f"blocks.{layer}.attn.hook_z"], model.blocks[layer].attn.W_O
            parts.append(einsum(z, W_O, "b p h d, h d m -> h b p m"))
        if config.d_mlp:
            parts.append(kept[f"blocks.{layer}.hook_mlp_out"][None])
    written = rearrange(torch.cat(parts), "c b p m -> c (b p) m")
    end = torch.stack([kept[hook] for hook in ends]).sum(dim=0)
    return written, end.flatten(0, 1), hidden.flatten(0, 1)


def _shares(
    model: StageModel,
    written: Float[Tensor, "component n d_model"],
    end: Float[Tensor, "n d_model"],
    targets: Int[Tensor, " n"],
) -> Float[Tensor, "all_components n"]:
    """Every part's share, the constants' last."""
    direction = model.W_U.T[targets] - model.W_U.mean(dim=1)
    constants = [model.b_U[targets] - model.b_U.mean()]
    if model.config.final_norm:
        norm = model.ln_final
        constants.insert(0, direction @ norm.b)
        direction = direction * norm.w
        if model.config.final_norm == "LN":
            # Centring what is written and centring the direction are the same.
            direction = direction - direction.mean(dim=1, keepdim=True)
            end = end - end.mean(dim=1, keepdim=True)
        direction = direction / (end.square().mean(dim=1, keepdim=True) + norm.eps).sqrt()
    shares = einsum(written, direction, "c n m, n m -> c n")
    return torch.cat([shares, torch.stack(constants)])


def _centred_logit(
    model: StageModel, hidden: Float[Tensor, "n d_model"], targets: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Logits of the targets minus the mean logit, without making the others."""
    direction = model.W_U.T[targets] - model.W_U.mean(dim=1)
    return (hidden * direction).sum(dim=1) + model.b_U[targets] - model.b_U.mean()


def _error(total: Tensor, whole: Tensor) -> float:
    """Largest difference, as a multiple of what is allowed."""
    allowed = TOLERANCE * max(1.0, float(whole.abs().max()))
    return float((total - whole).abs().max()) / allowed
