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
from lt_interp.training.checkpoint import load, read_card
from lt_interp.training.convert import Conversion, convert

from .notebook_models import N_CTX, STAGES, State, notebook_logits, notebook_state, window

Convert = Callable[..., Conversion]
SEVERAL = {"n_layers": 2, "n_heads": 2, "history": {"val_loss": [2.5], "val_perplexity": [12.2]}}


@pytest.fixture(autouse=True)
def _nothing_shipped(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """No shipped tokenizer is opened, which would take most of the time of these tests."""
    nothing = tmp_path_factory.getbasetemp() / "nothing"
    monkeypatch.setattr("lt_interp.training.checkpoint.trained_folder", lambda: nothing)


@pytest.fixture
def converted(tokenizer: CharacterTokenizer, tmp_path: Path) -> Convert:
    """Save what a test holds, and convert it."""

    def go(stage: str, saved: Any, **options: Any) -> Conversion:
        torch.save(saved, tmp_path / "theirs.pt")
        options = {"tokenizer": tokenizer, "out": tmp_path / "out", **options}
        return convert(tmp_path / "theirs.pt", stage, **options)

    return go


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


def test_a_file_is_no_folder_of_weights(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.pt is a file, .*lt-interp convert"):
        load(tmp_path / "a.pt")
