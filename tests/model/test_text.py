"""Text in and text out, as HookedTransformer's methods are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer, CharacterTokenizer
from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]


@pytest.fixture
def model(small_model: Build) -> StageModel:
    return small_model("03_bigram")


def test_to_tokens(model: StageModel) -> None:
    # ids 0..2 are special, 3 is the space, 4 is a, and so on
    assert model.to_tokens("a bad").tolist() == [[4, 3, 5, 4, 7]]
    assert model.to_tokens("ab", prepend_bos=True).tolist() == [[2, 4, 5]]
    assert model.to_tokens(["abc", "a"]).tolist() == [[4, 5, 6], [4, 0, 0]]
    assert model.to_tokens(["abc", "a"], padding_side="left").tolist() == [[4, 5, 6], [0, 0, 4]]
    assert model.to_tokens("a" * 30).shape == (1, 24)
    assert model.to_tokens("a" * 30, truncate=False).shape == (1, 30)


def test_there_and_back(model: StageModel) -> None:
    text = "the dog ran."
    tokens = model.to_tokens(text)
    assert model.to_string(tokens[0]) == text
    assert model.to_string(tokens) == [text]
    assert model.to_string(tokens[0].tolist()) == text
    assert "".join(model.to_str_tokens(text)) == text


def test_to_str_tokens(model: StageModel) -> None:
    assert model.to_str_tokens("ab c") == ["a", "b", " ", "c"]
    assert model.to_str_tokens("ab", prepend_bos=True) == ["<eos>", "a", "b"]
    assert model.to_str_tokens(model.to_tokens("ab")) == ["a", "b"]
    assert model.to_str_tokens(model.to_tokens("ab")[0].numpy()) == ["a", "b"]
    assert model.to_str_tokens(["ab", "c"]) == [["a", "b"], ["c"]]
    assert model.to_str_tokens(model.to_tokens(["ab", "cd"])) == [["a", "b"], ["c", "d"]]
    for id in (-1, model.cfg.d_vocab):
        with pytest.raises(InputError, match=f"token id {id} is not in 0.."):
            model.to_str_tokens(torch.tensor([0, id]))


def test_a_text_that_says_nothing_to_the_model_is_refused(model: StageModel) -> None:
    for run in (model, model.generate, model.run_with_cache, model.input_to_tokens):
        with pytest.raises(InputError, match=r"no token of 'ŻŹ' is in the vocabulary of 30 tokens"):
            run("ŻŹ")
    with pytest.raises(InputError, match="no token of 'Ż'"):
        model(["a dog", "Ż"])
    with pytest.raises(InputError, match="no token of 'Ż"):
        model("Ż", prepend_bos=True)
    with pytest.raises(InputError) as caught:
        model("Ż" * 24)
    assert len(str(caught.value)) < 150
    assert model.input_to_tokens("aŻ").tolist() == [[4, 1]]  # something is understood
    assert model.to_tokens("ŻŹ").tolist() == [[1, 1]]  # ids alone run nothing
    assert model(torch.tensor([[1, 1]])).shape == (1, 2, 30)  # and ids are taken as they are


def test_bytes_have_no_unknown_text() -> None:
    config = ModelConfig(d_vocab=256, n_ctx=24, d_model=16, eos_id=0)
    model = StageModel(config, tokenizer=ByteTokenizer())
    assert model("Ż").shape == (1, 2, 256)


def test_a_prompt_longer_than_the_context_is_refused(model: StageModel) -> None:
    for run in (model, model.generate, model.run_with_cache, model.input_to_tokens):
        with pytest.raises(InputError, match=r"has 25 tokens and the context 24; shorten it"):
            run("a" * 25)


def test_single_tokens(model: StageModel) -> None:
    assert model.to_single_token("c") == 6
    assert model.to_single_str_token(6) == "c"
    with pytest.raises(InputError, match="2 tokens, not one"):
        model.to_single_token("ab")
    with pytest.raises(InputError, match="not in the vocabulary"):
        model.to_single_token("Z")
    with pytest.raises(InputError, match=r"not in 0\.\.29"):
        model.to_single_str_token(30)


def test_get_token_position(model: StageModel) -> None:
    assert model.get_token_position("a", "banana") == 1
    assert model.get_token_position("a", "banana", mode="last") == 5
    assert model.get_token_position("a", "banana", prepend_bos=True) == 2
    assert model.get_token_position(4, model.to_tokens("banana")[0]) == 1
    with pytest.raises(InputError, match="does not occur"):
        model.get_token_position("z", "banana")
    with pytest.raises(InputError, match="one row"):
        model.get_token_position("a", model.to_tokens(["ab", "cd"]))


@pytest.mark.usefixtures("without_type_checks")
def test_an_unknown_mode(model: StageModel) -> None:
    with pytest.raises(InputError, match="allowed: first, last"):
        model.get_token_position("a", "banana", mode="middle")


def test_a_model_without_a_tokenizer_takes_ids_only(
    small_config: Callable[..., ModelConfig],
) -> None:
    model = StageModel(small_config("03_bigram"))
    assert model(torch.tensor([[3, 4]])).shape == (1, 2, 30)
    with pytest.raises(InputError, match="no tokenizer"):
        model("ab")


def test_a_tokenizer_of_another_size_is_refused(tokenizer: CharacterTokenizer) -> None:
    with pytest.raises(InputError, match="256 ids and the model 30"):
        StageModel(ModelConfig(d_vocab=tokenizer.d_vocab), tokenizer=ByteTokenizer())
