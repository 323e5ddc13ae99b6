"""Checkpoints: what is stored is what was measured, and damage is named."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.errors import InputError
from lt_interp.files import sha256_file
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import Stage
from lt_interp.training.batches import Data
from lt_interp.training.checkpoint import load, require_fitting, save_weights
from lt_interp.training.loop import train
from lt_interp.training.recipe import recipe_for
from lt_interp.training.run_folder import find_checkpoint
from lt_interp.training.validation import mean_loss, row_losses

from ..reliability.strangers import change_model

Build = Callable[[str], Stage]


@pytest.fixture(scope="module")
def trained(data: Data, small_stage: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "09"
    changes = {"batch_rows": 8, "max_steps": 6, "epochs": 9, "warmup_steps": 2}
    recipe = recipe_for("ladder", "09_multi_head", precision="float32", **changes)
    train(small_stage("09_multi_head"), data, recipe, seed=1, out=out)
    return out


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained, tmp_path / "checkpoint"))


def edit_json(path: Path, **changes: Any) -> None:
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **changes}))


def edit_tensors(folder: Path, change: Callable[[dict], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_the_card_tells_the_loss_of_what_is_stored(trained: Path, data: Data) -> None:
    """Evaluated anew: the file's own tensors, one row at a time, by torch's cross-entropy."""
    card = json.loads((trained / "run.json").read_text())
    stored = load_file(trained / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    model = StageModel(load(trained).config)
    model.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    total, count = 0.0, 0
    for row in data.validation.tokens:
        tokens = torch.from_numpy(row.astype("int64"))[None]
        with torch.no_grad():
            logits = model(tokens[:, :-1])[0].double()
        total += F.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
        count += tokens.shape[1] - 1
    assert count == data.validation.n_rows * 15
    assert card["val_loss_nats"] == pytest.approx(total / count, rel=1e-6)
    assert card["weights_sha256"] == sha256_file(trained / "model.safetensors")


def test_the_card_says_what_was_done(trained: Path, data: Data) -> None:
    card = json.loads((trained / "run.json").read_text())
    assert (card["stage"], card["recipe"], card["seed"]) == ("09_multi_head", "ladder", 1)
    assert (card["steps"], card["tokens_seen"]) == (6, 6 * 8 * 15)
    for part, rows in (("corpus", data.train), ("validation", data.validation)):
        assert card[part]["sha256"] == rows.corpus_sha256
        assert card[part]["n_rows"] == rows.n_rows
        assert card[part]["n_stories"] == rows.n_stories
    assert card["corpus"]["split"] == "train"
    assert card["tokenizer"]["sha256"] == data.tokenizer.sha256
    assert {"torch", "transformer-lens", "python"} <= set(card["versions"])
    assert sorted(path.name for path in trained.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "run.json",
        "tokenizer",
    ]


def test_validation_losses_are_the_models_own(trained: Path, data: Data) -> None:
    model = load(trained)
    tokens = torch.from_numpy(data.validation.tokens.astype("int64"))
    with torch.no_grad():
        expected = model(tokens, return_type="loss", loss_per_token=True)
    losses = torch.cat(
        [torch.from_numpy(part) for part in row_losses(model, data.validation.tokens)]
    )
    torch.testing.assert_close(losses, expected)
    assert mean_loss(model, data.validation.tokens) == pytest.approx(expected.mean().item())


def test_load_gives_the_model_its_tokenizer_and_eval_mode(trained: Path, data: Data) -> None:
    model = load(str(trained))
    assert not any(module.training for module in model.modules())
    assert model.tokenizer.sha256 == data.tokenizer.sha256
    assert model.cfg.model_name == "09_multi_head"
    assert {param.dtype for param in model.parameters()} == {torch.float32}
    assert model.to_string(model.to_tokens("the dog")[0]) == "the dog"
    assert model("the dog").shape == (1, 7, model.cfg.d_vocab)


def test_missing_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint '09_multihead'.*name a folder"):
        load("09_multihead")
    with pytest.raises(InputError, match="no checkpoint"):
        load(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"is not a checkpoint: it has no config\.json"):
        load(tmp_path)


def test_a_folder_wins_over_a_name(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    assert find_checkpoint("09") == Path("09")


@pytest.mark.parametrize("name", ["run.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, checkpoint: Path) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(InputError, match=f"{name} does not exist"):
        load(checkpoint)


@pytest.mark.parametrize("name", ["run.json", "config.json"])
def test_half_a_json_file_is_named(name: str, checkpoint: Path) -> None:
    path = checkpoint / name
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=f"{name} is not valid JSON"):
        load(checkpoint)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_weights_file(keep: int, checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors is not a safetensors file"):
        load(checkpoint)


def test_weights_that_do_not_fit(checkpoint: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["unembed.b_U"]
        tensors["blocks.0.mlp.gate"] = torch.ones(2)
        tensors["embed.W_E"] = tensors["embed.W_E"][:, :8].contiguous()

    edit_tensors(checkpoint, change)
    with pytest.raises(InputError) as caught:
        load(checkpoint)
    message = str(caught.value)
    for part in (
        "missing unembed.b_U",
        "unexpected blocks.0.mlp.gate",
        "embed.W_E [",
    ):
        assert part in message
    assert "\n" not in message


def test_weights_that_are_no_finite_numbers(checkpoint: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["ln_final.w"][3] = math.nan
        tensors["ln_final.b"] = torch.ones(16, dtype=torch.int32)

    edit_tensors(checkpoint, change)
    sha256 = sha256_file(checkpoint / "model.safetensors")
    edit_json(checkpoint / "run.json", weights_sha256=sha256)
    with pytest.raises(InputError, match=r"ln_final\.b, ln_final\.w: no finite numbers"):
        load(checkpoint)


def test_a_changed_weight_is_noticed(checkpoint: Path) -> None:
    edit_tensors(checkpoint, lambda tensors: tensors["ln_final.w"].add_(0.25))
    with pytest.raises(InputError, match=r"is not the file that run\.json describes"):
        load(checkpoint)


@pytest.mark.parametrize(
    "change",
    [{"d_vocab": 10**9}, {"d_model": 2**30}, {"d_model": 2**40}, {"n_layers": 10**9},
     {"d_mlp": 10**15}, {"experts": {"count": 10**9, "gated": True}}],
    ids=str,
)  # fmt: skip
def test_no_memory_is_taken_for_a_model_that_is_not_stored(
    change: dict[str, Any], checkpoint: Path
) -> None:
    change_model(checkpoint, **change)
    too_many = r"(n_layers|d_\w+) must be at most [\d,]+|a mixture has at most [\d,]+"
    with pytest.raises(InputError, match=rf"describes [\d,]+ of something|{too_many}"):
        load(checkpoint)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("config.json", {"format_version": 99}, "format version 99, and this lt_interp reads 1"),
        ("config.json", {"model": {"d_models": 3}}, "unknown fields d_models"),
        ("config.json", {"model": {"d_vocab": 5}}, r"is not the one that run\.json describes"),
        ("config.json", {"stage": "../../up"}, "stage must match"),
        ("run.json", {"val_loss_nats": None}, "val_loss_nats must be number"),
        ("run.json", {"tokenizer": {}}, "tokenizer must contain .*sha256"),
        (
            "run.json",
            {"tokenizer": {"sha256": "0" * 64}},
            "needs a tokenizer with sha256 000000000000",
        ),
    ],
)
def test_a_wrong_entry_is_named(
    name: str, changes: dict[str, Any], message: str, checkpoint: Path
) -> None:
    edit_json(checkpoint / name, **changes)
    with pytest.raises(InputError, match=message):
        load(checkpoint)


def test_another_tokenizer_in_the_folder(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint / "tokenizer")
    ByteTokenizer().save(checkpoint / "tokenizer")
    with pytest.raises(InputError, match="needs a tokenizer with sha256"):
        load(checkpoint)


def test_a_weight_too_large_for_float16_is_not_stored(small_stage: Build, tmp_path: Path) -> None:
    model = StageModel(small_stage("03_bigram").config)
    with torch.no_grad():
        model.W_E[0, 0] = 1e5
    with pytest.raises(InputError, match=r"embed\.W_E is not finite in float16"):
        save_weights(model, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def gpts(data: Data, small_stage: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with learned positions, one with ALiBi and one with RoPE, of 16 tokens each."""
    folder = tmp_path_factory.mktemp("gpts")
    for name in ("gpt_learned", "gpt_alibi", "gpt_rope"):
        recipe = recipe_for("article", name, batch_rows=8, accumulate=2, max_steps=2)
        train(small_stage(name), data, recipe, seed=1, out=folder / name)
    return folder


@pytest.mark.parametrize("name", ["gpt_alibi", "gpt_rope"])
def test_a_longer_context_changes_nothing_within_the_old_one(gpts: Path, name: str) -> None:
    short, long = load(gpts / name), load(gpts / name, n_ctx=40)
    tokens = torch.arange(40)[None] % short.cfg.d_vocab
    with pytest.raises(InputError, match="40 tokens and the context 16"):
        short(tokens)
    torch.testing.assert_close(long(tokens)[:, :16], short(tokens[:, :16]))


def test_learned_positions_have_no_longer_context(gpts: Path) -> None:
    with pytest.raises(InputError, match="learned up to 16 tokens, and there is no vector"):
        load(gpts / "gpt_learned", n_ctx=40)
    assert load(gpts / "gpt_learned", n_ctx=9).cfg.n_ctx == 16


def test_alibi_over_learned_positions_is_refused(gpts: Path, tmp_path: Path) -> None:
    """Where a user could ask for both: a config that says one, beside weights of the other."""
    folder = Path(shutil.copytree(gpts / "gpt_learned", tmp_path / "both"))
    model = json.loads((folder / "config.json").read_text())["model"]
    edit_json(folder / "config.json", model={**model, "positions": "alibi"})
    with pytest.raises(InputError, match=r"does not fit its config: unexpected pos_embed\.W_pos"):
        require_fitting(ModelConfig.from_dict({**model, "positions": "alibi"}), folder)
    with pytest.raises(InputError, match=r"is not the one that run\.json describes"):
        load(folder)
    edit_json(folder / "config.json", model={**model, "positions": "learned and alibi"})
    with pytest.raises(InputError, match="a model has one kind of them"):
        load(folder)
