"""A sample is what the model adds: nothing of the prompt, nothing of the other prompts."""

from __future__ import annotations

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.errors import InputError
from lt_interp.methods.samples import samples
from lt_interp.model.stage_model import StageModel

from .conftest import tiny


def cycling_model(tokenizer: ByteTokenizer, cycle: str) -> StageModel:
    """A bigram that follows each character of the cycle by the next one, nearly always."""
    model = StageModel(tiny("03_bigram"), tokenizer=tokenizer)
    with torch.no_grad():
        model.embed.W_E.zero_()
        model.unembed.W_U.zero_()
        model.unembed.b_U.zero_()
        for place, character in enumerate(cycle):
            following = cycle[(place + 1) % len(cycle)]
            model.embed.W_E[ord(character), place] = 1.0
            model.unembed.W_U[place, ord(following)] = 100.0
    return model


def test_planted_cycle_is_continued(tokenizer: ByteTokenizer) -> None:
    model = cycling_model(tokenizer, "abc")
    assert samples(model, ["xa", "b"], seed=0, max_new_tokens=7) == ["bcabcab", "cabcabc"]


def test_end_of_story_ends_the_sample_unseen(tokenizer: ByteTokenizer) -> None:
    model = cycling_model(tokenizer, "abc\0")
    assert samples(model, ["a", "c"], seed=0, max_new_tokens=7) == ["bc", ""]


def test_sample_depends_on_its_prompt_and_the_seed_alone(tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("07_block"), tokenizer=tokenizer)
    first, second = samples(model, ["Tom", "Ann"], seed=0)
    assert samples(model, ["Ann"], seed=0) == [second]
    assert samples(model, ["Tom"], seed=0) == [first]
    assert samples(model, ["Tom"], seed=1) != [first]


def test_temperature_zero_takes_the_likeliest(tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("05_attn_position"), tokenizer=tokenizer)
    tokens = model.to_tokens("Tom")
    for _ in range(5):
        tokens = torch.cat([tokens, model(tokens)[:, -1:].argmax(dim=-1)], dim=1)
    expected = tokenizer.decode(tokens[0, 3:].tolist())
    assert samples(model, ["Tom"], seed=0, temperature=0, max_new_tokens=5) == [expected]


def test_model_without_a_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match="no tokenizer"):
        samples(StageModel(tiny("03_bigram")), ["Tom"], seed=0)
