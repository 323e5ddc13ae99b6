"""Attribution patching: what every patch would do, estimated at once from one gradient.

The logit difference of the corrupt run is followed along its gradient towards the clean
activations: `(clean - corrupt) . dLD/dcorrupt`, summed over an activation's vector. That is the
effect of the patch where the rest of the model is linear, and its first-order estimate elsewhere
(Nanda, "Attribution Patching", 2023; Syed, Rager and Conmy, arXiv 2310.10348). Two forward passes
and one backward pass answer for all heads and positions of a batch of pairs; `patch_grid` runs the
patches themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from lt_interp.errors import InputError
from lt_interp.methods.activation_patching.cells import HOOKS, components
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.methods.activation_patching.resume import BATCH_TOKENS, through
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel


def attribute(
    model: StageModel,
    clean: Int[Tensor, "pair pos"],
    corrupt: Int[Tensor, "pair pos"],
    *,
    answers: Int[Tensor, "pair 2"],
    parts: Sequence[str] = ("z",),
) -> dict[str, Float[Tensor, "layer pos ... pair"]]:
    """How far each activation, taken from the clean run, would move the logit difference.

    Args:
        model: Any stage that has the parts.
        clean: Ids of the clean prompts.
        corrupt: Of the corrupt ones, equally long.
        answers: Ids of the clean and the corrupt answer.
        parts: `"embed"` (of one layer), `"resid_pre"`, `"attn_out"`, `"resid_mid"`, `"mlp_out"`,
            or of every head `"z"`, `"q"`, `"k"` or `"v"`.

    Returns:
        By part, `[layer pos pair]`, of heads `[layer pos head pair]`.

    Raises:
        InputError: The stage lacks a part.
    """
    names = {part: _hooks(model, part) for part in parts}
    asked = list(dict.fromkeys(name for some in names.values() for name in some))
    size = max(1, BATCH_TOKENS // clean.shape[1])
    batches = zip(clean.split(size), corrupt.split(size), answers.split(size), strict=True)
    found = [_effects(model, *batch, names=asked) for batch in batches]
    return {
        part: torch.stack([torch.cat([one[name] for one in found]) for name in some]).movedim(1, -1)
        for part, some in names.items()
    }


def _effects(
    model: StageModel,
    clean: Int[Tensor, "pair pos"],
    corrupt: Int[Tensor, "pair pos"],
    answers: Int[Tensor, "pair 2"],
    *,
    names: Sequence[str],
) -> dict[str, Float[Tensor, "pair pos ..."]]:
    """The estimates of one batch by hook; pairs share a pass, and no gradient crosses rows."""
    with torch.no_grad():
        _, new = _run(model, clean, names)
    with torch.enable_grad():
        logits, own = _run(model, corrupt, names)
        total = logit_difference(logits, answers).sum()
    slopes = torch.autograd.grad(total, [own[name] for name in names])
    moved = {
        name: ((new[name] - own[name].detach()) * slope).sum(dim=-1)
        for name, slope in zip(names, slopes, strict=True)
    }
    n_pos = clean.shape[1]  # positions that the last block leaves out reach no prediction: 0
    return {
        name: pad(x, (0, 0) * (x.ndim - 2) + (n_pos - x.shape[1], 0)) for name, x in moved.items()
    }


def _run(
    model: StageModel, tokens: Int[Tensor, "pair pos"], names: Sequence[str]
) -> tuple[Float[Tensor, "pair d_vocab"], dict[str, Tensor]]:
    """The last logits, and the activations of some hooks; whole where others have hooks too."""
    whole = model.hooked or not model.config.has_residual
    kept: dict[str, Tensor] = {}

    def keep(activation: Tensor, hook: object, *, name: str) -> None:
        if torch.is_grad_enabled() and not activation.requires_grad:
            activation.requires_grad_()  # nothing before it has parameters that learn
        kept[name] = activation

    with model.hooks(fwd_hooks=[(name, partial(keep, name=name)) for name in names]):
        hidden = model.hidden(tokens)[:, -1:] if whole else through(model, model.embedded(tokens))
    return model.unembed(hidden)[:, 0], kept


def _hooks(model: StageModel, part: str) -> list[str]:
    """The hooks of a part, by layer."""
    present = _parts(model.config)
    if part not in present:
        raise InputError(f"{model.cfg.model_name} has no {part!r}; it has {present}")
    layers = range(1 if part == "embed" else model.config.depth)
    return [HOOKS[part].format(layer=layer) for layer in layers]


def _parts(config: ModelConfig) -> list[str]:
    """What a stage can be asked about: all that has a vector at every position."""
    streams = list(dict.fromkeys(name for name, _ in components(config)))
    return streams + (["z", "q", "k", "v"] if config.n_heads else [])
