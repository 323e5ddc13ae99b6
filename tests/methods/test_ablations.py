"""Planted logs get the verdicts they were planted for; real runs can be continued."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from lt_interp.corpus import open_corpus
from lt_interp.errors import InputError
from lt_interp.methods.ablations.analysis import ablations, differences, unigram_nats
from lt_interp.methods.ablations.arms import ARMS
from lt_interp.methods.ablations.claims import claims_table
from lt_interp.methods.ablations.curves import bins, gradient_table, loss_table
from lt_interp.methods.ablations.losses import Losses
from lt_interp.methods.ablations.runs import ArmRun, few_stories
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.statistics import seeds_interval
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, UNTESTABLE
from lt_interp.stages import STAGES

from .conftest import STORIES

STEPS, UNIGRAM = 1100, 2.8
AS_THE_ARTICLE_SAYS = {
    "gpt": (4.2, 1.6), "pytorch_default": (80.0, 1.63), "no_positions": (4.2, 1.8),
    "untied": (4.2, 1.61), "post_norm": (4.2, 1.7), "no_residual_1": (4.2, 2.0),
    "no_residual_2": (4.2, 2.4), "no_residual_3": (4.2, 2.81), "few": (4.2, 0.1),
    "few_no_positions": (4.2, 0.12),
}  # fmt: skip
"""First and last training loss of each arm."""


def planted(ends: dict[str, tuple[float, float]], *, steps: int = STEPS) -> Losses:
    """Logs of three seeds that fall from one loss to the other within a hundred steps."""
    logs = {}
    for name, (first, last) in ends.items():
        for seed in range(3):
            losses = last + 0.002 * seed + (first - last) * np.exp(-np.arange(steps) / 20)
            blocks = 3 if name == "no_residual_3" else 5
            logs[ArmRun(ARMS[name], seed)] = [
                {
                    "train_loss_nats": float(loss),
                    "grad_norm_by_block": {
                        str(block): 0.01 ** (blocks - 1 - block) if blocks == 3 else 1.0
                        for block in range(blocks)
                    },
                    "val_loss_nats": float(loss) + (2.0 if "few" in name else 0.1),
                }
                for loss in losses
            ]
    return Losses(logs=logs, unigram_nats=UNIGRAM)


def verdicts(losses: Losses) -> dict[str, str]:
    table = claims_table(losses)
    return dict(zip(table["claim"], table["verdict"], strict=True))


def test_what_the_article_describes_holds() -> None:
    assert set(verdicts(planted(AS_THE_ARTICLE_SAYS)).values()) == {HOLDS}


@pytest.mark.parametrize(
    ("claim", "arm", "ends", "verdict"),
    [
        ("loss at step 1", "pytorch_default", (4.3, 1.63), FAILS),
        ("loss at step 1", "pytorch_default", (20.0, 1.63), IN_PART),
        ("a long tail", "pytorch_default", (80.0, 1.5), FAILS),
        ("similar in the end", "pytorch_default", (80.0, 1.68), IN_PART),
        ("no positions: overfits", "few_no_positions", (4.2, 0.5), IN_PART),
        ("no positions: generalises worse", "no_positions", (4.2, 1.5), FAILS),
        ("untying", "untied", (4.2, 1.3), FAILS),
        ("no residuals, one block", "no_residual_1", (4.2, 2.8), FAILS),
        ("no residuals, two blocks", "no_residual_2", (4.2, 1.9), IN_PART),
        ("no residuals, three blocks", "no_residual_3", (4.2, 2.1), FAILS),
    ],
)
def test_what_is_otherwise_does_not_hold(
    claim: str, arm: str, ends: tuple[float, float], verdict: str
) -> None:
    assert verdicts(planted({**AS_THE_ARTICLE_SAYS, arm: ends}))[claim] == verdict


def test_gradients_that_do_not_vanish_are_no_vanishing_gradients() -> None:
    losses = planted(AS_THE_ARTICLE_SAYS)
    for run, lines in losses.logs.items():
        for line in lines if run.arm.name == "no_residual_3" else ():
            line["grad_norm_by_block"] = {"0": 3.0, "1": 2.0, "2": 1.0}
    assert verdicts(losses)["vanishing gradients"] == FAILS


def test_runs_too_short_or_too_few_for_a_claim_say_so() -> None:
    short = verdicts(planted(AS_THE_ARTICLE_SAYS, steps=200))
    assert short["a long tail"] == UNTESTABLE
    assert short["untying"] == HOLDS
    without = {arm: ends for arm, ends in AS_THE_ARTICLE_SAYS.items() if arm != "untied"}
    assert verdicts(planted(without))["untying"] == UNTESTABLE
    with pytest.raises(NotMeasured, match="fewer than two seeds"):
        planted(without).final("untied")


def test_differences_are_those_of_an_arm_over_the_one_it_differs_from() -> None:
    table = differences(planted(AS_THE_ARTICLE_SAYS)).set_index(["arm", "measure"])
    assert set(table.loc["few_no_positions", "against"]) == {"few"}
    assert set(table.drop(index="few_no_positions", level="arm")["against"]) == {"gpt"}
    for arm, over in (("post_norm", 0.1), ("no_residual_2", 0.8), ("few_no_positions", 0.02)):
        for measure in ("training", "validation"):
            row = table.loc[(arm, measure)]
            assert row["difference_nats"] == pytest.approx(over, abs=1e-3)
            assert row["low"] <= row["difference_nats"] <= row["high"]


@pytest.mark.parametrize("n", [1, 2, 10, 1200])
def test_bins_take_every_step_once(n: int) -> None:
    assert [step for first, last in bins(n) for step in range(first, last + 1)] == [
        *range(1, n + 1)
    ]


def test_tables_are_means_within_bins() -> None:
    losses = planted({"gpt": (4.2, 1.6), "no_residual_3": (4.2, 2.8)}, steps=30)
    table = loss_table(losses.logs)
    row = table[(table["arm"] == "gpt") & (table["last_step"] == 30)].iloc[0]
    runs = [lines for run, lines in losses.logs.items() if run.arm.name == "gpt"]
    steps = slice(row["first_step"] - 1, 30)
    wanted = np.mean([[line["train_loss_nats"] for line in lines[steps]] for lines in runs])
    assert row["train_loss_nats"] == pytest.approx(wanted)
    assert row["low"] < wanted < row["high"]
    gradients = gradient_table(losses.logs)
    first = gradients[(gradients["arm"] == "no_residual_3") & (gradients["block"] == 0)]
    np.testing.assert_allclose(first["gradient_norm"], 1e-4)


def test_the_interval_over_seeds_is_students() -> None:
    values = [1.0, 2.0, 4.0]
    error = np.std(values, ddof=1) / math.sqrt(3)
    low, high = t.interval(0.95, 2, loc=np.mean(values), scale=error)
    assert seeds_interval(values) == pytest.approx((np.mean(values), low, high))
    assert seeds_interval([3.0]) == (3.0, None, None)


def test_few_stories_are_the_first_ones() -> None:
    whole = open_corpus("embedded", split="train")
    few = few_stories(whole, 2_000)
    stories = list(few.stories())
    assert stories == list(whole.stories())[: len(stories)]
    one_more = list(whole.stories())[: len(stories) + 1]
    assert sum(map(len, stories)) <= 2_000 < sum(map(len, one_more))
    text = "".join(f"{story}\n<|endoftext|>\n" for story in stories)
    assert few.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert few_stories(whole, 1).n_stories == 1


def test_every_arm_differs_from_its_neighbour_in_one_thing() -> None:
    base = STAGES["char_gpt"].config.to_dict()
    changed = {
        name: [key for key, value in STAGES[arm.stage].config.to_dict().items()
               if value != base[key]]
        for name, arm in ARMS.items()
    }  # fmt: skip
    assert changed["gpt"] == changed["pytorch_default"] == changed["few"] == []
    assert changed["no_positions"] == changed["few_no_positions"] == ["positions"]
    assert changed["untied"] == ["tied"]
    assert changed["post_norm"] == ["wiring"]
    assert set(changed["no_residual_3"]) == {"wiring", "n_layers"}


def test_real_runs_fill_every_table_and_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = ("gpt", "pytorch_default", "no_residual_3", "few", "few_no_positions")
    monkeypatch.setattr(
        "lt_interp.methods.ablations.analysis.ARMS", {name: ARMS[name] for name in some}
    )
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{story}\n<|endoftext|>\n" for story in STORIES * 8))
    runs = tmp_path / "runs"
    first = ablations(runs, corpus=str(text), steps=3, seeds=(0, 1))
    assert all(len(table) for table in first.tables.values())
    table = first.tables["runs"].set_index(["arm", "seed"])["first_loss_nats"]
    assert 40 < table["pytorch_default", 0] < 160
    assert table["gpt", 0] < 6
    weights = {path: path.stat().st_mtime_ns for path in runs.glob("*/model.safetensors")}
    assert len(weights) == 10
    again = ablations(runs, corpus=str(text), steps=3, seeds=(0, 1))
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    assert again.tables["runs"].equals(first.tables["runs"])
    assert str(tmp_path) not in str(first.meta)


@pytest.mark.parametrize(("steps", "seeds"), [(0, (0,)), (5, ())])
def test_no_step_or_no_seed_is_refused(steps: int, seeds: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take 1 or more"):
        ablations(tmp_path, steps=steps, seeds=seeds)
    assert list(tmp_path.iterdir()) == []


def test_the_entropy_of_a_token_by_hand(rows_of) -> None:
    rows = rows_of(["aab"] * 20, 4)  # and the end of each story
    p = np.array([0.5, 0.25, 0.25])
    assert unigram_nats(rows) == pytest.approx(float(-(p * np.log(p)).sum()))
