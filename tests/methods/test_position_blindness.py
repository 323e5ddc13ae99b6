"""Stages that read a bag cannot tell two orders apart; all others can, and it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Checkpoint
from lt_interp.methods.position_blindness import (
    AS_PRINTED,
    COMMON_LAST,
    expect_identical,
    position_blindness,
)
from lt_interp.methods.position_blindness.compare import RELATIVE_BOUND
from lt_interp.methods.position_blindness.prefixes import cut_prefixes
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

from .conftest import tiny

# Which stages give one answer to both sentences, by what the sentences have in common.
BLIND_AS_PRINTED = {"01_bag_of_words", "02_bow_position"}
BLIND_WITH_COMMON_LAST = BLIND_AS_PRINTED | {"03_bigram", "04_attention"}
PAIR = ("the girl saw the dogs", "the dogs saw the girl")
FEW = {"prefixes": 12, "permutations": 8}


def difference(stage: str, first: list[int], second: list[int], seed: int) -> tuple[float, float]:
    """Largest difference of a logit after two rows of ids, and the largest logit."""
    model = StageModel(tiny(stage), seed=seed).double()
    with torch.no_grad():
        logits = model(torch.tensor([first, second]))[:, -1]
    return (logits[0] - logits[1]).abs().max().item(), logits.abs().max().item()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seed", range(2))
def test_architecture_decides_who_is_blind(stage: str, seed: int) -> None:
    # In double precision rounding is 1e-16 and no order that is seen moves logits so little.
    rng = np.random.default_rng(seed)
    first = rng.choice(256, size=12, replace=False).tolist()
    for shared_end in (0, 1, 2, 3):
        cut = len(first) - shared_end
        second = [*first[1:cut], first[0], *first[cut:]]
        measured, scale = difference(stage, first, second, seed)
        expected = expect_identical(tiny(stage), torch.tensor(first), torch.tensor(second))
        assert (measured < 1e-12 * scale) == expected, (shared_end, measured)


@pytest.mark.parametrize("stage", STAGES)
def test_expectation_names_the_stages_the_article_means(stage: str) -> None:
    config = tiny(stage)
    first, second = (torch.tensor(list(text.encode())) for text in PAIR)
    assert expect_identical(config, first, second) == (stage in BLIND_AS_PRINTED)
    end = torch.tensor([ord(".")])
    first, second = torch.cat([first, end]), torch.cat([second, end])
    assert expect_identical(config, first, second) == (stage in BLIND_WITH_COMMON_LAST)


def test_differences_on_checkpoints(trained: Path, rows: Rows) -> None:
    names = [trained / name for name in ("10_moe", "10_moe-seed1", "04_attention", "03_bigram")]
    result = position_blindness(names, rows, seed=0, pair=PAIR, **FEW)
    table = result.tables["differences"]
    assert table["stage"].unique().tolist() == ["03_bigram", "04_attention", "10_moe"]
    for row in table.itertuples():
        blind = row.variant == COMMON_LAST and row.stage in BLIND_WITH_COMMON_LAST
        assert row.identical == row.expected_identical == blind
        assert row.identical == (row.max_abs_logit_difference <= row.bound)
        # the bound is far below what unrelated contexts do, except where nothing matters
        if row.stage != "03_bigram":
            assert row.bound < 0.1 * row.reference_difference
        assert row.reference_low <= row.reference_difference <= row.reference_high
    assert len(table) == 3 * 2 * 2


def test_figures_are_those_of_the_model(trained: Path, rows: Rows) -> None:
    result = position_blindness([trained / "05_attn_position"], rows, seed=0, pair=PAIR, **FEW)
    table = result.tables["differences"].set_index(["weights", "variant"])
    from lt_interp.training.checkpoint import load

    model = load(trained / "05_attn_position")
    with torch.no_grad():
        logits = torch.stack([model(text)[0, -1] for text in PAIR])
    row = table.loc[("trained", AS_PRINTED)]
    assert_allclose(row["max_abs_logit_difference"], (logits[0] - logits[1]).abs().max(), rtol=1e-5)
    assert_allclose(row["bound"], RELATIVE_BOUND * logits.abs().max(), rtol=1e-5)
    assert_allclose(row["logit_std"], logits.std(dim=-1).mean(), rtol=1e-5)
    top = result.tables["predictions"].query(
        "weights == 'trained' and variant == @AS_PRINTED and sentence == @PAIR[1]"
    )
    best = logits[1].softmax(dim=-1).sort(descending=True)
    assert top["rank"].tolist() == [1, 2, 3, 4, 5]
    assert_allclose(top["probability"], best.values[:5], rtol=1e-5)
    assert top["token"].tolist() == [model.to_single_str_token(int(i)) for i in best.indices[:5]]


def test_bigram_reference_is_zero_once_the_last_token_is_shared(trained: Path, rows: Rows) -> None:
    # All that a bigram sees is then the same, whatever the contexts.
    result = position_blindness([trained / "03_bigram"], rows, seed=0, pair=PAIR, **FEW)
    table = result.tables["differences"].set_index(["weights", "variant"])
    assert table.loc[("trained", COMMON_LAST), "reference_high"] == 0
    assert table.loc[("trained", AS_PRINTED), "reference_difference"] > 0


def test_seed_decides_and_default_pair_is_the_articles(trained: Path, rows: Rows) -> None:
    names = [trained / "01_bag_of_words"]
    one, same, other = (position_blindness(names, rows, seed=seed, **FEW) for seed in (0, 0, 1))
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, same.tables[name], check_exact=True)
    for name in ("differences", "permutations", "swaps"):
        assert not one.tables[name].equals(other.tables[name])
    assert one.meta["notes"]["sentences"] == ["The girl saw the dog", "The dog saw the girl"]


def test_sentences_of_different_tokens_are_refused(
    trained: Path, rows: Rows, tokenizer: ByteTokenizer
) -> None:
    with pytest.raises(InputError, match="same tokens in another order"):
        position_blindness([trained / "03_bigram"], rows, seed=0, pair=("a dog", "a cat"))


def test_a_given_pair_of_other_tokens_is_refused_but_the_articles_gets_a_reason(
    rows: Rows,
) -> None:
    model = StageModel(tiny("05_attn_position"), name="mute")  # without a tokenizer
    with pytest.raises(InputError, match="no tokenizer"):
        position_blindness(model, rows, pair=PAIR, **FEW)
    tables = position_blindness(model, rows, **FEW).tables
    assert len(tables["predictions"]) == 0
    assert tables["differences"]["identical"].isna().all()
    assert tables["differences"]["reason"].str.contains("no tokenizer").all()
    assert (tables["verdicts"]["verdict"] == "order-sensitive").all()


def test_counts_say_what_was_asked(trained: Path, rows: Rows) -> None:
    result = position_blindness(trained / "04_attention", rows, **FEW)
    cut = cut_prefixes(rows, n=12, lengths=(8, 32), seed=0)
    for row in result.tables["permutations"].itertuples():
        assert (row.n_prefixes, row.n_permutations, row.n_stories) == (12, 96, 12)
        assert row.n_reference == cut.has_other.sum()
        assert row.n_excluded == 0
        assert row.kl_low <= row.kl_nats <= row.kl_high
        assert row.loss_change_low <= row.loss_change_nats <= row.loss_change_high
        assert row.top1_agreement == 1
    swaps = result.tables["swaps"]
    farthest = swaps["distance"].max()
    assert (cut.length >= farthest + 2).sum() >= 2  # a fifth of 12 prefixes
    long = cut.length >= farthest + 2
    for row in swaps.itertuples():
        at = cut.length[long] - 1 - row.distance
        pairs = [(t[near], t[near - 1]) for t, near in zip(cut.tokens[long], at)]
        assert row.n_prefixes == sum(near != far for near, far in pairs)
    assert result.tables["applies"]["applies"].tolist() == [True]
    assert result.meta["notes"]["lengths"] == [8, 32]


def test_sensitivity_is_the_share_of_the_reference(trained: Path, rows: Rows) -> None:
    tables = position_blindness(trained / "05_attn_position", rows, **FEW).tables
    both = tables["verdicts"].merge(tables["permutations"], on="weights")
    assert (both["n_reference"] == both["n_prefixes"]).all()  # so both are means over the same
    assert_allclose(both["sensitivity"], both["kl_nats"] / both["reference_kl_nats"], rtol=1e-9)


def test_one_story_leaves_intervals_and_reference_open(rows_of: Callable[..., Rows]) -> None:
    rows = rows_of(["Tom saw a dog and the dog saw Tom and ran."], width=22)
    result = position_blindness(StageModel(tiny("05_attn_position"), name="one"), rows, **FEW)
    for row in result.tables["permutations"].itertuples():
        assert row.n_stories == 1
        assert row.n_reference == 0
        assert pd.isna(row.kl_low)
        assert pd.isna(row.reference_kl_nats)
        assert row.kl_nats > 0
    assert result.tables["verdicts"]["sensitivity"].isna().all()


def test_an_interrupted_analysis_continues(
    trained: Path, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [trained / "03_bigram", trained / "04_attention"]
    whole = position_blindness(names, rows, **FEW)

    def stop(done: int, n: int, what: str) -> None:
        if what == "04_attention":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        position_blindness(names, rows, progress=stop, keep=tmp_path, **FEW)
    opened: list[str] = []
    load = Checkpoint.load
    monkeypatch.setattr(Checkpoint, "load", lambda one: opened.append(one.name) or load(one))
    continued = position_blindness(names, rows, keep=tmp_path, **FEW)
    assert opened == ["04_attention"]
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(table, continued.tables[name], check_exact=True)


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"permutations": 0}, "1 or more"), ({"distances": (0, 1)}, "each 1 or more"),
     ({"distances": ()}, "name one or more"), ({"prefixes": 0}, "1 or more"),
     ({"lengths": (2, 9)}, "3 tokens or more")],
)  # fmt: skip
def test_choices_out_of_range_are_refused(rows: Rows, choice: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        position_blindness(StageModel(tiny("03_bigram"), name="any"), rows, **choice)


def test_progress_ends_where_it_said(trained: Path, rows: Rows) -> None:
    seen: list[tuple[int, int]] = []
    position_blindness(
        [trained / "03_bigram", trained / "04_attention"], rows,
        progress=lambda done, n, what: seen.append((done, n)), **FEW,
    )  # fmt: skip
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
