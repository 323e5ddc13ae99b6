"""What somebody would do on purpose, one trick a test; chance does the rest in test_fuzz."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from lt_interp.corpus.gpt2_bpe import MERGES_FILE, Gpt2Bpe
from lt_interp.corpus.readers import DELIMITER, read_stories
from lt_interp.corpus.tokenizer import load_tokenizer
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import find_checkpoints
from lt_interp.methods.evaluation import evaluate
from lt_interp.methods.xray import xray
from lt_interp.training.checkpoint import load
from lt_interp.training.convert import convert
from lt_interp.training.pt_file import read_pt

from .inputs import analyze_small, characters, small_data, train_small
from .strangers import change_model, change_snapshot, change_weights


@pytest.fixture
def run(good: Path, tmp_path: Path) -> Path:
    """A checkpoint to change."""
    return Path(shutil.copytree(good / "checkpoint" / "run", tmp_path / "run"))


@pytest.mark.parametrize("kind", ["pipe", "zeros"])
def test_weights_that_never_end_are_not_hashed(kind: str, run: Path) -> None:
    path = run / "model.safetensors"
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    (found,) = find_checkpoints([run])
    with pytest.raises(InputError, match=r"not an ordinary file|a link out of its folder"):
        _ = found.weights_sha256
    with pytest.raises(InputError, match=r"not an ordinary file|a link out of its folder"):
        load(run)


def test_weights_that_become_infinite_are_refused(run: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["unembed.b_U"] = torch.full_like(weights["unembed.b_U"], 1e300, dtype=torch.float64)

    change_weights(run, change)
    with pytest.raises(InputError, match=r"unembed\.b_U: no finite numbers"):
        load(run)


def test_weights_of_other_types_are_refused(run: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["unembed.b_U"] = weights["unembed.b_U"].to(torch.float8_e4m3fn)

    change_weights(run, change)
    with pytest.raises(InputError, match=r"unembed\.b_U: no finite numbers"):
        load(run)


def test_an_empty_weight_vouches_for_no_size(run: Path) -> None:
    change_weights(run, lambda weights: weights.update(pad=torch.empty(0, 2**40)))
    change_model(run, d_mlp=10**9)
    with pytest.raises(InputError, match="describes 1,000,000,000 of something"):
        load(run)


def test_weights_too_large_to_compute_with_are_named(run: Path, good: Path) -> None:
    """Finite, each of them: what they make is not."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["blocks.0.mlp.experts.0.W_in"] = torch.full((16, 32), 3e38)
        weights["blocks.0.mlp.experts.0.W_out"] = torch.full((32, 16), 3e38)
        weights["blocks.0.mlp.experts.1.W_in"] = torch.full((16, 32), 3e38)
        weights["blocks.0.mlp.experts.1.W_out"] = torch.full((32, 16), 3e38)

    change_weights(run, change)
    model = load(run)
    for use in (
        lambda: evaluate(model, small_data(good).validation, seed=0),
        lambda: xray(model, "the dog"),
    ):
        with pytest.raises(InputError, match=r"the activation blocks\.0\..* holds NaN"):
            use()
    with pytest.raises(InputError, match="a logit holds NaN or infinity"):
        model.generate("the dog", 3)


@pytest.mark.parametrize("step", ["0", "4", "12", "-1", "1000000"])
def test_a_snapshot_of_another_step_is_noticed(step: str, good: Path, tmp_path: Path) -> None:
    run = shutil.copytree(good / "snapshot" / "run", tmp_path / "run")
    change_snapshot(run, lambda _, about: about.update(step=step), vouched=False)
    with pytest.raises(InputError, match="its hash is another; delete it to start over"):
        train_small(good, run)


NO_STATE = {
    "none": lambda tensors: tensors.pop("optim/unembed.W_U/exp_avg"),
    "a part": lambda tensors: tensors.update({"optim/unembed.b_U/exp_avg": torch.zeros(1)}),
    "another": lambda tensors: tensors.update({"optim/unembed.W_U/other": torch.zeros(1)}),
    "of nothing": lambda tensors: tensors.update({"optim/nothing/step": torch.zeros(1)}),
    "no number": lambda tensors: tensors["optim/embed.W_E/exp_avg_sq"].fill_(torch.nan),
}


@pytest.mark.parametrize("change", NO_STATE)
def test_a_snapshot_without_its_optimizers_is_refused(
    change: str, good: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(good / "snapshot" / "run", tmp_path / "run")
    change_snapshot(run, lambda tensors, _: NO_STATE[change](tensors))
    with pytest.raises(InputError, match="does not hold this run's weights; delete it"):
        train_small(good, run)


def test_a_snapshot_of_more_than_a_run_remembers_is_not_read(good: Path, tmp_path: Path) -> None:
    run = shutil.copytree(good / "snapshot" / "run", tmp_path / "run")
    change_snapshot(run, lambda tensors, _: tensors.update(zeros=torch.zeros(2**19)))
    with pytest.raises(InputError, match="is larger than this run's snapshots; delete it"):
        train_small(good, run)


def test_a_snapshot_with_weights_that_are_no_numbers_is_refused(good: Path, tmp_path: Path) -> None:
    run = shutil.copytree(good / "snapshot" / "run", tmp_path / "run")
    change_snapshot(run, lambda tensors, _: tensors["model/embed.W_E"].fill_(torch.nan))
    with pytest.raises(InputError, match=r"holds NaN or infinity in embed\.W_E; delete it"):
        train_small(good, run)


@pytest.mark.parametrize(
    "text",
    ["\n" * 300_000 + f"x\n{DELIMITER}\nA dog.\n", "\r" * 300_000 + f"x\n{DELIMITER}\nA dog.\n",
     f"x\n{' ' * 300_000}{DELIMITER}{' ' * 300_000}\nA dog.\n"],
    ids=["lines", "carriage returns", "spaces"],
)  # fmt: skip
def test_long_runs_of_white_space_take_their_length_in_time(text: str, tmp_path: Path) -> None:
    """Once they took its square: minutes."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    assert list(read_stories(path)) == ["x", "A dog."]


PICKLES = {
    "piles up tuples": b"\x80\x02}q\x00)q\x01" + b"h\x01h\x01\x86q\x01" * 60 + b"h\x00h\x01K\x01s.",
    "asks for builtins.bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\xc0\0\x85R.",
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("said", PICKLES)
def test_pickles_that_take_for_ever_or_everything(said: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    if zipped:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, PICKLES[said] if name.endswith("data.pkl") else content)
    else:
        path.write_bytes(PICKLES[said])
    with pytest.raises(InputError, match=said):
        read_pt(path)


def test_more_merges_than_gpt2_has_are_not_read(tmp_path: Path) -> None:
    (tmp_path / MERGES_FILE).write_text("a b\n" * 60_000)
    with pytest.raises(InputError, match="has 60,000 lines, GPT-2 has 50,000 merges"):
        Gpt2Bpe(tmp_path)


def test_kept_tables_of_other_columns_are_measured_again(good: Path, tmp_path: Path) -> None:
    wanted = analyze_small(good, tmp_path)
    (kept,) = (tmp_path / ".parts" / "evolution").glob("*/result.json")
    stored = json.loads(kept.read_text())
    del stored["sha256"]
    for table in stored["tables"].values():
        table["types"] = dict.fromkeys(table["types"], "object")
        table["rows"] = [["x"] * len(row) for row in table["rows"]]
    kept.write_text(json.dumps(stored))
    again = analyze_small(good, tmp_path)
    for name, table in wanted.tables.items():
        assert table.equals(again.tables[name])


def test_half_a_character_is_no_token(run: Path) -> None:
    path = run / "tokenizer" / "vocabulary.json"
    stored = json.loads(path.read_text())
    stored["tokens"][5] = "\ud800"
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match="a token holds half a character"):
        load_tokenizer(run / "tokenizer")


@pytest.mark.parametrize("size", [2**31, 2**62, 2**63, 10**4000], ids=["31", "62", "63", "huge"])
@pytest.mark.parametrize("name", ["n_ctx", "d_model", "d_mlp", "d_vocab"])
def test_sizes_beyond_any_model_are_refused(name: str, size: int, run: Path) -> None:
    change_model(run, **{name: size})
    with pytest.raises(InputError, match=f"{name} must be at most 2,147,483,647"):
        load(run)


def test_more_positions_than_there_are_weights(run: Path) -> None:
    change_model(run, n_ctx=2**30)
    with pytest.raises(InputError, match="describes 1,073,741,824 of something"):
        load(run)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8], ids=str)
def test_types_without_arithmetic_are_not_converted(
    dtype: torch.dtype, good: Path, tmp_path: Path
) -> None:
    d_vocab = characters(good).d_vocab
    state = {
        "embedding.weight": torch.zeros(d_vocab, 16).to(dtype),
        "unembed.weight": torch.zeros(d_vocab, 16),
        "unembed.bias": torch.zeros(d_vocab),
    }
    torch.save(state, tmp_path / "theirs.pt")
    with pytest.raises(InputError, match=r"embedding\.weight holds .*, not floating-point"):
        convert(
            tmp_path / "theirs.pt", "03_bigram", out=tmp_path / "out", tokenizer=characters(good)
        )


def test_nested_tensors_are_no_state_dict(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save({"embedding.weight": nested}, tmp_path / "theirs.pt")
    with pytest.raises(InputError, match=r"neither a state dict|damaged|asks for"):
        read_pt(tmp_path / "theirs.pt")
