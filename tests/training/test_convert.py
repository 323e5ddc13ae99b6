"""A notebook's checkpoint gives the notebook's logits, and whatever does not fit is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import lt_interp as lt
from lt_interp.article import article_stage
from lt_interp.corpus.simple_tokenizers import CharacterTokenizer
from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.stages import get_stage
from lt_interp.training.article_keys import sources
from lt_interp.training.checkpoint import load
from lt_interp.training.convert import Conversion
from lt_interp.training.run_folder import read_card

from .notebook_models import N_CTX, STAGES, State, notebook_logits, notebook_state, window

Convert = Callable[..., Conversion]
SEVERAL = {"n_layers": 2, "n_heads": 2, "history": {"val_loss": [2.5], "val_perplexity": [12.2]}}


def agree(folder: Path, stage: str, state: State) -> None:
    """Both models say the same after every prefix that the notebook's can read."""
    model = load(folder)
    ids = torch.randint(model.cfg.d_vocab, (N_CTX,), generator=torch.Generator().manual_seed(3))
    ours = model(ids[None])[0]
    for end in range(window(stage), N_CTX + 1):
        theirs = notebook_logits(stage, state, ids[:end].tolist())
        assert theirs.std() > 0.3, "logits that hardly differ would agree by themselves"
        torch.testing.assert_close(ours[end - 1].double(), theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_logits_are_the_notebooks(
    stage: str, converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = notebook_state(stage, tokenizer.d_vocab, seed=len(stage))
    converted(stage, {"model_state_dict": state, "vocab_size": tokenizer.d_vocab})
    agree(tmp_path / "out", stage, state)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "10_moe_gated"])
def test_the_articles_parameters_are_all_asked_for(stage: str) -> None:
    found = sources(get_stage(stage).config)
    assert sum(math.prod(source.shape) for source in found) == article_stage(stage)["params"]


@pytest.mark.parametrize(
    ("stage", "rename"),
    [
        ("03_bigram", ("embedding.", "token_embedding.")),
        ("05_attn_position", ("token_embedding.", "embedding.")),
        ("06_ffn", ("ffn.", "blocks.0.ffn.")),
        ("07_block", ("block.", "blocks.0.")),
        ("08_two_blocks", ("attention.mask", "attention.causal_mask")),
    ],
)
def test_other_names_of_the_same_weights(
    stage: str,
    rename: tuple[str, str],
    converted: Convert,
    tokenizer: CharacterTokenizer,
    tmp_path: Path,
) -> None:
    state = notebook_state(stage, tokenizer.d_vocab)
    renamed = {key.replace(*rename): tensor for key, tensor in state.items()}
    assert renamed.keys() != state.keys()
    converted(stage, renamed)
    agree(tmp_path / "out", stage, state)


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict", "model", None])
def test_where_the_weights_may_be_held(
    key: str | None, converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = notebook_state("07_block", tokenizer.d_vocab)
    converted("07_block", state if key is None else {key: state, **SEVERAL, "n_layers": 1,
                                                     "n_heads": 1})  # fmt: skip
    assert read_card(tmp_path / "out")["converted_from"]["held_under"] == key


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_no_bit_of_narrower_weights_is_lost(
    dtype: torch.dtype, converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = {k: t.to(dtype) for k, t in notebook_state("03_bigram", tokenizer.d_vocab).items()}
    done = converted("03_bigram", state)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(stored["embed.W_E"].to(dtype), state["embedding.weight"])
    assert torch.equal(stored["unembed.W_U"].to(dtype), state["unembed.weight"].T)
    assert not done.rounded
    recorded = read_card(tmp_path / "out")["converted_from"]
    assert (recorded["dtypes"], recorded["stored_as"]) == ([str(dtype)[6:]], "float32")


def test_wider_weights_are_rounded_and_that_is_said(
    converted: Convert, tokenizer: CharacterTokenizer
) -> None:
    state = {k: t.double() for k, t in notebook_state("03_bigram", tokenizer.d_vocab).items()}
    assert converted("03_bigram", state).rounded


def test_the_card_claims_nothing_that_is_not_on_record(
    converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    state = notebook_state("09_multi_head", tokenizer.d_vocab)
    done = converted("09_multi_head", {"model_state_dict": state, **SEVERAL})
    card = json.loads((tmp_path / "out" / "run.json").read_text())
    for entry in ("recipe", "seed", "steps", "tokens_seen", "seconds", "val_loss_nats"):
        assert card[entry] is None, entry
    assert set(card["corpus"].values()) == set(card["validation"].values()) == {None}
    assert card["converted_from"]["file"] == "theirs.pt"
    assert card["converted_from"]["sha256"] == sha256_file(tmp_path / "theirs.pt")
    masks = [f"blocks.{layer}.attention.mask" for layer in (0, 1)]
    assert card["converted_from"]["ignored"] == done.ignored == masks
    assert card["tokenizer"]["sha256"] == tokenizer.sha256
    assert card["tokenizer"]["named_by_user"] is True
    assert str(tmp_path) not in json.dumps(card)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "model.safetensors", "run.json", "tokenizer",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [None, "theirs.pt", {}, {"file": "theirs.pt", "sha256": 3}])
def test_a_card_whose_file_is_not_named_is_refused(
    wrong: Any, converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    converted("03_bigram", notebook_state("03_bigram", tokenizer.d_vocab))
    path = tmp_path / "out" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "converted_from": wrong}))
    with pytest.raises(InputError, match="converted_from"):
        load(tmp_path / "out")


def test_load_takes_it_from_the_library_too(
    converted: Convert, tokenizer: CharacterTokenizer, tmp_path: Path
) -> None:
    converted("04_attention", notebook_state("04_attention", tokenizer.d_vocab))
    model = lt.load(tmp_path / "out")
    assert model.cfg.n_ctx == N_CTX  # no position table there: the mask's side
    assert model.tokenizer.sha256 == tokenizer.sha256
    assert model.to_string(model.to_tokens("the dog")[0]) == "the dog"


@pytest.mark.parametrize(
    ("stage", "told", "others"),
    [
        ("01_bag_of_words", {}, ["03_bigram"]),
        ("02_bow_position", {}, []),
        ("03b_trigram", {}, []),
        ("08_two_blocks", {}, ["09_multi_head"]),
        ("09_multi_head", {"n_heads": 2}, []),
        ("10_moe", {}, ["10_moe_gated"]),
    ],
)
def test_stages_that_no_weight_tells_apart_are_named(
    stage: str,
    told: dict[str, int],
    others: list[str],
    converted: Convert,
    tokenizer: CharacterTokenizer,
) -> None:
    state = notebook_state(stage, tokenizer.d_vocab)
    assert converted(stage, {"model_state_dict": state, **told}).also_fits == others


def test_a_file_is_no_folder_of_weights(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.pt is a file, .*lt-interp convert"):
        load(tmp_path / "a.pt")
