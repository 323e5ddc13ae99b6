"""The n-gram detour: what follows "girl named" and "boy named", beside the article's figures."""

from __future__ import annotations

from typing import Any

import torch

from lt_interp.article import article
from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

# The article wrote "the little girl named" in the middle of a sentence, so a space comes before it.
GIRL, BOY = " the little girl named", " the little boy named"
# The transitions that the article names for its bigram.
TRANSITIONS = (("Once", " upon"), (" the", " little"), (" named", " Lily"))
BIGRAM = "03_bigram"
_PUBLISHED = {
    (BIGRAM, GIRL): "bigram",
    (BIGRAM, BOY): "bigram",
    ("03b_trigram", GIRL): "trigram_girl",
    ("03b_trigram", BOY): "trigram_boy",
    ("03b_fourgram", GIRL): "fourgram_girl",
    ("03b_fourgram", BOY): "fourgram_boy",
}

PREDICTIONS = {
    "prompt": str,
    "token": str,
    "probability": float,
    "rank": int,
    "article_probability": float,
    "reason": str,
}


def is_ngram(config: ModelConfig) -> bool:
    """Whether a stage sees a fixed window of tokens and nothing else."""
    return not config.average and not config.has_blocks


def predictions(model: StageModel) -> list[dict[str, Any]]:
    """Probability and rank of a name after each prompt; of an n-gram, exact.

    Returns:
        Rows of `ngram_predictions`; where the tokenizer cannot express a prompt or a token as the
        article's does, `reason` says so and the figures are missing.
    """
    asked = [(prompt, token) for prompt in (GIRL, BOY) for token in (" Lily", " Tim")]
    if str(model.cfg.model_name) == BIGRAM:
        asked += list(TRANSITIONS)
    return [_predict(model, prompt, token) for prompt, token in asked]


@torch.no_grad()
def _predict(model: StageModel, prompt: str, token: str) -> dict[str, Any]:
    stage = str(model.cfg.model_name)
    figures = article()["ngram_predictions"].get(_PUBLISHED.get((stage, prompt), ""), {})
    row = {"prompt": prompt, "token": token, "article_probability": figures.get(token)}
    try:
        answer = model.to_single_token(token)
        model.to_single_token(_last_word(prompt))
    except InputError as error:
        return {**row, "reason": str(error)}
    tokens = model.to_tokens(prompt)
    chances = model(tokens)[0, -1].double().softmax(dim=-1)
    rank = 1 + int((chances > chances[answer]).sum())
    return {**row, "probability": float(chances[answer]), "rank": rank}


def _last_word(prompt: str) -> str:
    """The last word with its space, which must be one token for the prompt to end as it should."""
    _, space, word = prompt.rpartition(" ")
    return space + word
