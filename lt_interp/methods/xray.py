"""One prompt on its way through a model, step by step: shapes, norms, numbers of one position.

Between tokenise and softmax, the steps are the hooks in the order in which they fire: each row is
a place where its numbers could be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.methods.result import Result, make_table
from lt_interp.model.finite import require_finite
from lt_interp.model.generation import check_sampling, draw, next_token_probabilities
from lt_interp.model.hook_table import Hook, hook_table
from lt_interp.model.stage_model import StageModel

TEMPERATURE, TOP_P = 0.8, 0.9  # the NumPy GPT's
SHOWN = 4  # numbers of a step
KEYS = 3  # positions that a head reads most
LIKELIEST = 10  # next tokens

NUMBERS = tuple(f"number_{i}" for i in range(1, SHOWN + 1))
TOKENS = {"pos": int, "id": int, "token": str}
STEPS = {
    "step": str,
    "layer": int,
    "hook": str,
    "what": str,
    "axes": str,
    "shape": str,
    "norm": float,
    **dict.fromkeys(NUMBERS, float),
}
READS = {"layer": int, "head": int, "rank": int, "key_pos": int, "token": str, "weight": float}
NEXT = {
    "rank": int,
    "id": int,
    "token": str,
    "logit": float,
    "probability": float,
    "drawn_with": float,
}

# What a hook's name says of the step that it stands in; the first that fits.
_STEP_OF = (
    (r"hook_embed", "embed"),
    (r"hook_pos_embed", "position"),
    (r"hook_pooled", "pool"),
    (r"\bln(1|2|_final)\.", "normalise"),
    (r"hook_resid_", "stream"),
    (r"attn", "attend"),
    (r"mlp", "feed-forward"),
    (r"unembed", "unembed"),
)


@torch.no_grad()
def xray(
    model: StageModel,
    prompt: str | Int[Tensor, "pos"],
    *,
    pos: int = -1,
    temperature: float = TEMPERATURE,
    top_p: float = TOP_P,
    seed: int = 0,
) -> Result:
    """Follow one position of a prompt through a model.

    Args:
        model: Any stage with a tokenizer.
        prompt: What it reads: text, or ids.
        pos: The position that is followed; a negative one counts from the end.
        temperature: Of the draw of the next token; 0 takes the likeliest.
        top_p: Likewise; 1 keeps every token.
        seed: Likewise.

    Returns:
        `tokens`, one a position; `steps` from tokenise to decode, one a hook between, with the norm
        of what it carries at the position and its first numbers (of the first head); `reads`, the
        positions that each head reads most from there; `next`, the likeliest next tokens, with the
        logit, the probability and that with which it is drawn (0 where top-p cuts it off).

    Raises:
        InputError: The model has no tokenizer, the prompt does not fit it, there is no such
            position, or nothing can be drawn so.
    """
    if model.tokenizer is None:
        raise InputError(f"{model.cfg.model_name} has no tokenizer; build it with one")
    check_sampling(temperature, None, top_p)
    ids = model.input_to_tokens(prompt)
    n = ids.shape[1]
    if not -n <= pos < n:
        raise InputError(f"there is no position {pos} in {n} tokens; choose 0 to {n - 1}")
    pos %= n
    require_finite(model, ids)
    _, cache = model.run_with_cache(ids, return_cache_object=False)
    words = [model.tokenizer.str_tokens[id] for id in ids[0].tolist()]
    logits = cache["unembed.hook_out"][:, pos]
    drawn = next_token_probabilities(logits, temperature, None, top_p)
    generator = torch.Generator(device=drawn.device).manual_seed(seed)
    next_id = int(draw(drawn, generator))
    hooks = [hook for hook in hook_table(model.config) if hook.name in cache]
    steps = [
        _row("tokenise", f"ids of the {model.tokenizer.kind} tokenizer", "pos", [n], ids[0, pos]),
        *(_step(hook, cache[hook.name], pos) for hook in hooks),
        _row("softmax", "probability of every next token", "d_vocab", [drawn.shape[1]],
             logits[0].softmax(dim=-1)),
        _row("decode", "id of the token that is drawn", "1", [1], torch.tensor(next_id)),
    ]  # fmt: skip
    tokens = [{"pos": i, "id": int(id), "token": words[i]} for i, id in enumerate(ids[0])]
    return Result(
        name="xray",
        tables={
            "tokens": make_table(TOKENS, tokens),
            "steps": make_table(STEPS, steps),
            "reads": make_table(READS, _reads(cache, pos, words)),
            "next": make_table(NEXT, _next(logits[0], drawn[0], model.tokenizer.str_tokens)),
        },
        meta={
            "stage": str(model.cfg.model_name),
            "tokenizer": model.tokenizer.kind,
            "pos": pos,
            "seed": seed,
            "temperature": temperature,
            "top_p": top_p,
            "n_kept": int((drawn > 0).sum()),
            "d_vocab": model.config.d_vocab,
            "next_id": next_id,
            "next_token": model.tokenizer.str_tokens[next_id],
        },
    )


def _step(hook: Hook, carried: Tensor, pos: int) -> dict[str, Any]:
    """What a hook carries."""
    axes = hook.shape.split()[1:]  # a prompt is one row: nothing to say of the batch
    step = next(step for pattern, step in _STEP_OF if re.search(pattern, hook.name))
    layer = re.match(r"blocks\.(\d+)\.", hook.name)
    return {
        **_row(step, hook.meaning, " ".join(axes), carried.shape[1:], _at(carried[0], axes, pos)),
        "layer": int(layer[1]) if layer else None,
        "hook": hook.name,
    }


def _row(step: str, what: str, axes: str, shape: Sequence[int], numbers: Tensor) -> dict[str, Any]:
    """A row of the table of steps; ids have no norm."""
    flat = numbers.flatten().float()
    return {
        "step": step,
        "what": what,
        "axes": axes,
        "shape": " × ".join(map(str, shape)),
        "norm": float(flat.norm()) if numbers.is_floating_point() else None,
        **dict(zip(NUMBERS, flat[:SHOWN].tolist())),
    }


def _at(carried: Tensor, axes: list[str], pos: int) -> Tensor:
    """What is carried at one position; of a square, the query's row up to its own key."""
    if "query" in axes:
        return carried[:, pos, : pos + 1]
    return carried[pos]


def _reads(cache: dict[str, Tensor], pos: int, words: list[str]) -> Iterator[dict[str, Any]]:
    """The positions that each head of each layer reads most."""
    patterns = [name for name in cache if name.endswith("attn.hook_pattern")]
    for layer, name in enumerate(patterns):
        for head, weights in enumerate(cache[name][0, :, pos, : pos + 1]):
            most = weights.topk(min(KEYS, pos + 1))
            for rank, (weight, key) in enumerate(zip(most.values, most.indices), start=1):
                yield {
                    "layer": layer,
                    "head": head,
                    "rank": rank,
                    "key_pos": int(key),
                    "token": words[int(key)],
                    "weight": float(weight),
                }


def _next(
    logits: Float[Tensor, "d_vocab"], drawn: Float[Tensor, "d_vocab"], words: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """The likeliest next tokens."""
    probabilities = logits.softmax(dim=-1)
    likeliest = probabilities.topk(min(LIKELIEST, len(words))).indices.tolist()
    for rank, id in enumerate(likeliest, start=1):
        yield {
            "rank": rank,
            "id": id,
            "token": words[id],
            "logit": float(logits[id]),
            "probability": float(probabilities[id]),
            "drawn_with": float(drawn[id]),
        }
