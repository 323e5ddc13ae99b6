"""Whatever keeps a file from being a stage is named, all of it at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lt_interp.corpus.simple_tokenizers import CharacterTokenizer
from lt_interp.errors import InputError
from lt_interp.training.convert import Conversion

from .notebook_models import N_CTX, notebook_state

Convert = Callable[..., Conversion]


def message(converted: Convert, stage: str, saved: Any, **options: Any) -> str:
    """What a refusal says, in one line."""
    with pytest.raises(InputError) as caught:
        converted(stage, saved, **options)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_everything_wrong_is_listed_at_once(
    converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = notebook_state("10_moe", tokenizer.d_vocab)
    del state["unembed.bias"], state["blocks.1.moe.experts.1.linear2.weight"]
    state["blocks.0.attention.W_q.bias"] = torch.zeros(16)
    state["lm_head.weight"] = torch.zeros(3)
    state["ln_final.weight"] = torch.ones(17)
    state["blocks.0.ln1.bias"] = state["blocks.0.ln1.bias"][:, None]
    state["blocks.1.ln1.weight"][2] = math.nan
    state["blocks.1.ln2.weight"][2] = math.inf
    state["blocks.0.moe.router.weight"] = torch.ones(2, 16, dtype=torch.int64)
    state["embedding.weight"] = state["token_embedding.weight"]
    state["blocks.1.attention.mask"] = torch.ones(N_CTX, N_CTX).tril().T
    said = message(converted, "10_moe", {"model_state_dict": state, "n_heads": 4, "n_experts": 3})
    for part in (
        "theirs.pt does not fit 10_moe: ",
        "it says n_heads 4 where the stage has 2",
        "it says n_experts 3 where the stage has 2",
        "missing unembed.bias",
        "missing blocks.1.moe.experts.1.linear2.weight",
        "unexpected blocks.0.attention.W_q.bias",
        "unexpected lm_head.weight",
        "ln_final.weight has shape [17], not [16]",
        "blocks.0.ln1.bias has shape [16, 1], not [16]",
        "blocks.1.ln1.weight is not finite in float32",
        "blocks.1.ln2.weight is not finite in float32",
        "blocks.0.moe.router.weight holds int64, not floating-point numbers",
        "given twice: token_embedding.weight and embedding.weight",
        f"blocks.1.attention.mask is not a causal mask of {N_CTX} positions",
    ):
        assert part in said
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pt"]


def test_the_stage_that_it_would_fit_is_named(
    converted: Convert, tokenizer: CharacterTokenizer
) -> None:
    said = message(converted, "06_ffn", notebook_state("07_block", tokenizer.d_vocab))
    assert said.endswith("it would fit 07_block")
    assert "unexpected ln_final.weight" in said


def test_a_vocabulary_that_is_not_the_tokenizers(
    converted: Convert, tokenizer: CharacterTokenizer
) -> None:
    said = message(converted, "05_attn_position", notebook_state("05_attn_position", 1234))
    assert f"a vocabulary of 1,234 ids and the tokenizer {tokenizer.d_vocab}; name the" in said
    said = message(converted, "03_bigram", notebook_state("03_bigram", 1234), tokenizer=None)
    assert "1,234 ids and the tokenizer 4,096" in said


@pytest.mark.parametrize(
    ("key", "wrong", "part"),
    [
        ("unembed.weight", lambda t: t.double() * 1e300, "is not finite in float32"),
        ("unembed.weight", lambda t: t.to(torch.complex64), "holds complex64"),
        ("unembed.weight", lambda t: t > 0, "holds bool"),
        ("unembed.weight", lambda t: t.to_sparse(), "is not a dense tensor"),
        ("unembed.bias", lambda t: torch.zeros(1).expand(t.shape), "larger than what is stored"),
        ("embedding.weight", lambda t: t[0, 0], "has shape [], not ["),
    ],
)
def test_tensors_that_are_no_weights(
    key: str,
    wrong: Callable[[torch.Tensor], torch.Tensor],
    part: str,
    converted: Convert,
    tokenizer: CharacterTokenizer,
) -> None:
    state = notebook_state("03_bigram", tokenizer.d_vocab)
    state[key] = wrong(state[key])
    said = message(converted, "03_bigram", state)
    assert f"{key} {part}" in said or f"{key} is {part}" in said


def test_heads_that_do_not_divide_the_width(
    converted: Convert, tokenizer: CharacterTokenizer
) -> None:
    state = notebook_state("09_multi_head", tokenizer.d_vocab)
    odd = {key: tensor[..., :15] for key, tensor in state.items() if "mask" not in key}
    assert "n_heads 2 does not divide d_model 15" in message(converted, "09_multi_head", odd)


def test_an_unknown_stage_and_a_place_that_is_taken(
    converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = notebook_state("03_bigram", tokenizer.d_vocab)
    assert "nearest: 03_bigram" in message(converted, "03_bigrm", state)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("mine")
    assert "is there already" in message(converted, "03_bigram", state)
    assert (tmp_path / "out" / "kept").read_text() == "mine"
