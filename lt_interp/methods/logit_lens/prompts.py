"""Which prompts are read, and what the lens says at every point and position of each."""

from __future__ import annotations

import json
from typing import Any

from jaxtyping import Int
from torch import Tensor

from lt_interp.article import article
from lt_interp.methods.logit_lens.points import lens_points, read_points
from lt_interp.methods.logit_lens.readout import likeliest, read
from lt_interp.model.stage_model import StageModel

TOP = 5

PROMPTS = {
    "prompt": str,
    "position": int,
    "token": str,
    "next_token": str,
    "point": str,
    "order": int,
    "rank_of_next": int,
    "probability_of_next": float,
    "kl_to_final_nats": float,
    "top_token": str,
    "top_probability": float,
    "top_tokens": str,
}
LEFT_OUT = {"prompt": str, "reason": str}


def default_prompts() -> list[str]:
    """The article's longer prompts: the more words, the more to see at each layer."""
    told = article()
    return [told["prompts"][6], told["prompts"][7], told["heatmap_prompts"][1]]


def prompt_rows(
    model: StageModel, prompt: str, tokens: Int[Tensor, "1 pos"]
) -> list[dict[str, Any]]:
    """The rows of a prompt in the table `lens_prompts`.

    `top_tokens` holds the likeliest tokens with their probabilities, as JSON. What comes after
    the last position is not known, and so neither are its rank and its probability.
    """
    tokens = tokens.to(model.W_U.device)
    vectors = read_points(model, tokens)[:, 0]
    following = tokens[0].roll(-1)
    readout = read(vectors, model.W_U, model.b_U, following)
    strings = [model.to_single_str_token(int(token)) for token in tokens[0]]
    last = len(strings) - 1
    rows = []
    for order, point in enumerate(lens_points(model.config)):
        probabilities, ids = likeliest(vectors[order], model.W_U, model.b_U, k=TOP)
        for position, token in enumerate(strings):
            known = position < last
            top = _top(model, probabilities[position], ids[position])
            rows.append({
                "prompt": prompt, "position": position, "token": token,
                "next_token": strings[position + 1] if known else None,
                "point": point.name, "order": order,
                "rank_of_next": int(readout.rank[order, position]) if known else None,
                "probability_of_next":
                    digits(readout.loss_nats[order, position].neg().exp()) if known else None,
                "kl_to_final_nats": digits(readout.kl_to_final_nats[order, position]),
                "top_token": top[0][0], "top_probability": top[0][1],
                "top_tokens": json.dumps(top, ensure_ascii=False),
            })  # fmt: skip
    return rows


def digits(value: Tensor, n: int = 4) -> float:
    """A number of one token to so many significant digits, which keeps files small."""
    return float(f"{float(value):.{n}g}")


def _top(model: StageModel, probabilities: Tensor, ids: Tensor) -> list[tuple[str, float]]:
    """Tokens with their probabilities."""
    return [
        (model.to_single_str_token(int(id)), digits(probability, 3))
        for probability, id in zip(probabilities, ids, strict=True)
    ]
