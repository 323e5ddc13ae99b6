"""Losses by position are plain means of the model's own losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.length_generalisation import (
    STAGES,
    length_generalisation,
    loss_by_position,
    rises_beyond,
)
from lt_interp.model.stage_model import StageModel
from lt_interp.training.validation import row_losses

from .conftest import STORIES, tiny


def test_a_bin_is_the_mean_over_its_positions(rows: Rows, tokenizer: ByteTokenizer) -> None:
    model = StageModel(tiny("07_block"), tokenizer=tokenizer, name="07_block", seed=3)
    scored = np.concatenate(list(row_losses(model, rows.tokens[:7])))
    stories = rows.story_ids(slice(0, 7))[:, 1:]
    found = loss_by_position(scored, stories, bin_width=10)
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


def planted(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Losses of three stages on 40 rows of 32: positions, stories and tokens hard for all alike."""
    stories = np.arange(40 * 32).reshape(40, 32) // 21
    hard = 2 + rng.normal(0, 0.5, size=32) + rng.normal(0, 0.5, size=stories.max() + 1)[stories]
    beyond = np.arange(32) >= 16
    noise = rng.normal(0, 0.05, size=(3, 40, 32))
    rise = {"worse": 1.0, "as before": 0.0, "somewhat": 0.1}
    return {
        stage: hard + more * beyond + one
        for (stage, more), one in zip(rise.items(), noise, strict=True)
    }, stories


def test_a_rise_is_the_mean_beyond_minus_the_mean_before() -> None:
    losses, stories = planted(np.random.default_rng(0))
    rises, differences = rises_beyond(losses, stories, first=5, trained=16)
    for row in rises:
        own = losses[row["stage"]]
        before, beyond = own[:, 4:16].mean(), own[:, 16:].mean()
        assert_allclose(
            [row["trained_loss_nats"], row["beyond_loss_nats"], row["rise_nats"]],
            [before, beyond, beyond - before],
        )
        assert (row["first_position"], row["last_trained_position"]) == (5, 16)
        assert (row["last_position"], row["n_stories"]) == (32, 61)
        assert row["low"] < row["rise_nats"] < row["high"]
    by_stage = {row["stage"]: row["rise_nats"] for row in rises}
    assert [(row["stage"], row["against"]) for row in differences] == [
        ("worse", "as before"), ("worse", "somewhat"), ("as before", "somewhat"),
    ]  # fmt: skip
    for row in differences:
        expected = by_stage[row["stage"]] - by_stage[row["against"]]
        assert_allclose(row["difference_nats"], expected)


def test_what_is_hard_for_all_cancels_between_stages() -> None:
    losses, stories = planted(np.random.default_rng(1))
    rises, differences = rises_beyond(losses, stories, first=5, trained=16)
    wide = min(row["high"] - row["low"] for row in rises)
    for row, more in zip(differences, (1.0, 0.9, -0.1), strict=True):
        assert row["low"] <= more <= row["high"]
        assert row["high"] - row["low"] < wide / 4
    flipped, _ = rises_beyond(
        {stage: own[:, ::-1] for stage, own in losses.items()}, stories[:, ::-1], first=1,
        trained=16,
    )  # fmt: skip
    straight, _ = rises_beyond(losses, stories, first=1, trained=16)
    assert_allclose([r["rise_nats"] for r in flipped], [-r["rise_nats"] for r in straight])


def test_all_three_are_trained_short_and_read_long(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{story}\n<|endoftext|>\n" for story in STORIES * 40))
    result = length_generalisation(tmp_path / "runs", corpus=str(text), steps=1, rows=1)
    losses = result.tables["losses"]
    assert list(losses["stage"].unique()) == list(STAGES)
    assert losses.groupby("stage")["last_position"].max().tolist() == [511] * 3
    assert losses["loss_nats"].between(3, 12).all()  # a guess among 10,000 is 9.2
    assert result.tables["runs"]["tokens_seen"].tolist() == [32 * 128] * 3
    rises, differences = result.tables["rises"], result.tables["rise_differences"]
    assert list(rises["stage"]) == list(STAGES)
    assert rises["first_position"].tolist() == [33] * 3
    binned = losses[(losses["stage"] == STAGES[0]) & losses["first_position"].between(33, 97)]
    assert rises["trained_loss_nats"][0] == pytest.approx(binned["loss_nats"].mean())
    assert len(differences) == 3
    assert str(tmp_path) not in str(result.meta)
