"""Losses by position are plain means of the model's own losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.length_generalisation import (
    STAGES,
    length_generalisation,
    loss_by_position,
)
from lt_interp.model.stage_model import StageModel

from .conftest import STORIES, tiny


def test_a_bin_is_the_mean_over_its_positions(rows: Rows, tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("07_block"), tokenizer=tokenizer, name="07_block", seed=3)
    found = loss_by_position(model, rows, 7, bin_width=10)
    tokens = torch.from_numpy(rows.tokens[:7].astype(np.int64))
    losses = model(tokens[:, :-1])
    losses = torch.nn.functional.cross_entropy(
        losses.transpose(1, 2), tokens[:, 1:], reduction="none"
    )
    wanted = [part.mean().item() for part in losses.split(10, dim=1)]
    assert [row["loss_nats"] for row in found] == pytest.approx(wanted, rel=1e-5)
    ends = [(row["first_position"], row["last_position"]) for row in found]
    assert ends == [(1, 10), (11, 20), (21, 30), (31, 32)]
    assert all(row["low"] <= row["loss_nats"] <= row["high"] for row in found)


def test_all_three_are_trained_short_and_read_long(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{story}\n<|endoftext|>\n" for story in STORIES * 40))
    result = length_generalisation(tmp_path / "runs", corpus=str(text), steps=1, rows=1)
    losses = result.tables["losses"]
    assert list(losses["stage"].unique()) == list(STAGES)
    assert losses.groupby("stage")["last_position"].max().tolist() == [511] * 3
    assert losses["loss_nats"].between(3, 12).all()  # a guess among 10,000 is 9.2
    assert result.tables["runs"]["tokens_seen"].tolist() == [32 * 128] * 3
    assert str(tmp_path) not in str(result.meta)
