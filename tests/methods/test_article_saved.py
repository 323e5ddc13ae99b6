"""Results of other analyses count only if they are of the same stories and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.methods.article.claims import ALL_CLAIMS, claims_table
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.experts import experts_table
from lt_interp.methods.article.gains import CLASS_GAINS
from lt_interp.methods.article.predictions import PREDICTIONS
from lt_interp.methods.article.saved import NO_FOLDER, READ, Saved, open_saved
from lt_interp.methods.article.stability import STABILITY
from lt_interp.methods.article.summaries import NAMES_AFTER, RESPONSES, SETTINGS
from lt_interp.methods.article.tables import PARAMETERS, SEEDS, evolution_table
from lt_interp.methods.checkpoints import Checkpoint, find_checkpoints, one_a_stage, provenance
from lt_interp.methods.claims import NotMeasured
from lt_interp.methods.result import RESULT, Result, make_table
from lt_interp.methods.verdict import FAILS, HOLDS, UNTESTABLE

BLINDNESS = "position_blindness"


@pytest.fixture
def main(trained: Path) -> dict[str, Checkpoint]:
    names = ("01_bag_of_words", "03_bigram", "04_attention")
    return one_a_stage(find_checkpoints([trained / name for name in names]))


def save(folder: Path, main: dict[str, Checkpoint], rows: Rows, **change: Any) -> None:
    meta = provenance(list(main.values()), rows, seed=0, command="", notes={})
    meta["corpus"] |= change.get("corpus", {})
    for model in meta["models"].values():
        model |= change.get("model", {})
    table = pd.DataFrame(
        {"stage": ["04_attention", "09_multi_head"], "weights": "trained",
         "max_abs_logit_difference": change.get("difference", 1e-6), "bound": 1e-3,
         "n_stories": 25}
    )  # fmt: skip
    Result(name=BLINDNESS, tables={"permutations": table}, meta=meta).save(folder / BLINDNESS)


COLUMNS = ("stage", "weights", "max_abs_logit_difference", "bound", "n_stories")


def test_same_stories_and_weights_are_read(
    tmp_path: Path, main: dict[str, Checkpoint], rows: Rows
) -> None:
    save(tmp_path, main, rows)
    saved = open_saved(tmp_path, main, rows)
    table = saved.table(BLINDNESS, "permutations", COLUMNS)
    assert table["stage"].tolist() == ["04_attention"]  # only what is asked about
    assert set(saved.reasons) == set(READ) - {BLINDNESS}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"corpus": {"sha256": "0" * 64}}, "other stories"),
        ({"corpus": {"split": "train"}}, "other stories"),
        ({"model": {"weights_sha256": "0" * 64}}, r"other weights \(01_bag_of_words\)"),
        ({"model": {"stage": "10_moe"}}, "other stages"),
    ],
)
def test_anything_else_counts_as_not_measured(
    tmp_path: Path, main: dict[str, Checkpoint], rows: Rows, change: dict, reason: str
) -> None:
    save(tmp_path, main, rows, **change)
    with pytest.raises(NotMeasured, match=reason):
        open_saved(tmp_path, main, rows).table(BLINDNESS, "permutations", COLUMNS)


def test_missing_and_damaged(tmp_path: Path, main: dict[str, Checkpoint], rows: Rows) -> None:
    save(tmp_path, main, rows)
    saved = open_saved(tmp_path, main, rows)
    with pytest.raises(NotMeasured, match="no table swaps"):
        saved.table(BLINDNESS, "swaps", ())
    with pytest.raises(NotMeasured, match="no column kl_nats"):
        saved.table(BLINDNESS, "permutations", ("stage", "kl_nats"))
    with pytest.raises(NotMeasured, match="run lt-interp report first"):
        saved.table("attention", "claims", ())
    (tmp_path / BLINDNESS / RESULT).write_text("{")
    with pytest.raises(NotMeasured, match="damaged"):
        open_saved(tmp_path, main, rows).table(BLINDNESS, "permutations", COLUMNS)


def evidence(saved: Saved) -> Evidence:
    """Nothing measured here."""
    columns = {
        "class_gains": CLASS_GAINS, "response": RESPONSES, "after_named": NAMES_AFTER,
        "ngram_predictions": {"stage": str, **PREDICTIONS}, "parameters": PARAMETERS,
        "stability": STABILITY, "settings": SETTINGS, "seeds": SEEDS,
    }  # fmt: skip
    tables = {name: make_table(types, []) for name, types in columns.items()}
    return Evidence(tables=tables, saved=saved)


# On the article's own figures and recipe: these need nothing.
ARITHMETIC = ["Tokens routed", "Only the architecture changes"]


def test_without_anything_every_claim_says_why_it_is_not_testable() -> None:
    saved = Saved(results={}, reasons=dict.fromkeys(READ, NO_FOLDER), stages=[])
    table = claims_table(evidence(saved)).set_index("claim")
    assert len(table) == len(ALL_CLAIMS) >= 12
    assert (table.drop(ARITHMETIC)["verdict"] == UNTESTABLE).all()
    assert table["reason"].str.len().min() > 10
    assert (table.loc[ARITHMETIC, "verdict"] == FAILS).all()
    assert "its 12 stages in 4 ways" in table.loc[ARITHMETIC[1], "reason"]


class Hollow(Saved):
    """Every table that is asked for, with its columns and no rows, or with rows of nothing."""

    def table(self, analysis: str, name: str, columns: Any) -> pd.DataFrame:
        return pd.DataFrame(columns=list(columns), dtype=object)


def test_empty_tables_never_crash() -> None:
    hollow = Hollow(results={}, reasons={}, stages=["10_moe"])
    table = claims_table(evidence(hollow)).set_index("claim")
    assert (table.drop(ARITHMETIC)["verdict"] == UNTESTABLE).all()
    assert evolution_table(hollow, {}).empty
    experts = experts_table(hollow)
    assert len(experts) == 16
    assert experts["share"].isna().all()
    assert experts["reason"].notna().all()


@pytest.mark.parametrize(("difference", "verdict"), [(1e-6, HOLDS), (0.5, FAILS)])
def test_a_claim_turns_with_the_saved_number(
    tmp_path: Path, main: dict[str, Checkpoint], rows: Rows, difference: float, verdict: str
) -> None:
    save(tmp_path, main, rows, difference=difference)
    table = claims_table(evidence(open_saved(tmp_path, main, rows))).set_index("claim")
    row = table.loc["Attention alone is order-blind"]
    assert row["verdict"] == verdict
    assert row["value"] == difference
    assert row["n"] == 25


def test_words_of_other_analyses_are_still_theirs() -> None:
    """The claims look rows up by these; renamed there, they would silently not be testable."""
    from lt_interp.methods.article import claims_attention
    from lt_interp.methods.attention import claims as attention

    assert claims_attention.SELF in attention.SELF
    assert claims_attention.BROKE in attention.BROKE
    assert claims_attention.EXAMPLES in attention.EXAMPLES
    assert attention.OVERALL == "overall"
