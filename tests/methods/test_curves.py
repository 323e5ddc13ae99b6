"""Our curves are the runs' own lines; a published point is met by what we had measured by then."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lt_interp.article import article
from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.curves import article_curves, curves


def run(folder: Path, losses: dict[int, float | None], stage: str = "09_multi_head") -> Checkpoint:
    """A run whose losses after so many tokens are planted; `None` is a line of training alone."""
    lines = []
    for step, (tokens, loss) in enumerate(losses.items(), start=1):
        line = {"step": step, "tokens_seen": tokens, "train_loss_nats": 9.0}
        lines.append(line if loss is None else {**line, "val_loss_nats": loss})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Checkpoint(name=stage, folder=folder, card={"stage": stage, "seed": 0})


def test_only_validations_are_points(tmp_path: Path) -> None:
    table = curves([run(tmp_path, {100: None, 200: 3.0, 300: None, 400: 2.0})])
    assert table["step"].tolist() == [2, 4]
    assert table["tokens_seen"].tolist() == [200, 400]
    assert table["perplexity"].tolist() == [math.exp(3.0), math.exp(2.0)]


def test_published_points_are_the_articles_in_tokens(tmp_path: Path) -> None:
    table = article_curves([run(tmp_path, {100: 3.0})])
    for stage in ("05_attn_position", "09_multi_head"):
        part = table[table["stage"] == stage]
        published = {int(step): value for step, value in article()["curves"][stage].items()}
        assert dict(zip(part["step"], part["perplexity"], strict=True)) == published
        assert part["tokens_seen"].tolist() == [step * 16_320 for step in published]


def test_our_point_is_the_last_at_no_more_tokens(tmp_path: Path) -> None:
    # the article's first points lie at 8.16, 16.32, 24.48 and 32.64 million tokens
    losses = {8_160_001: 3.0, 16_000_000: 2.5, 16_320_000: None, 30_000_000: 2.0}
    table = article_curves([run(tmp_path, losses)])
    ours = table[table["stage"] == "09_multi_head"].set_index("step")["our_perplexity"]
    assert math.isnan(ours[500])  # not validated yet
    assert ours[1000] == ours[1500] == math.exp(2.5)
    assert ours[2000:].isna().all()  # the run had ended
    seen = table[table["stage"] == "09_multi_head"].set_index("step")["our_tokens_seen"]
    assert seen[1500] == 16_000_000


@pytest.mark.parametrize("tokens", [8_160_000, 8_159_999])
def test_a_run_reaches_a_point_exactly_or_not_at_all(tmp_path: Path, tokens: int) -> None:
    table = article_curves([run(tmp_path, {tokens: 3.0})])
    first = table[table["stage"] == "09_multi_head"].iloc[0]
    assert math.isnan(first["our_perplexity"]) == (tokens < 8_160_000)


def test_stage_without_a_run_has_the_published_points_alone(tmp_path: Path) -> None:
    table = article_curves([run(tmp_path, {1: 2.0, 10**9: 1.0})])
    assert table[table["stage"] == "05_attn_position"]["our_perplexity"].isna().all()
    assert table[table["stage"] == "09_multi_head"]["our_perplexity"].notna().all()
