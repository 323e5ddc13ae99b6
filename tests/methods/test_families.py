"""What the further articles' reports have of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lt_interp.article import article_parameters
from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods import two_sentences as small_text
from lt_interp.methods.components import components
from lt_interp.methods.registry import ANALYSES, analyses_of
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import FAMILIES, STAGES


@pytest.fixture
def models(rows: Rows) -> dict[str, StageModel]:
    config = STAGES["byte_gpt"].config
    return {"byte_gpt": StageModel(config, tokenizer=ByteTokenizer(), name="byte_gpt")}


def test_components_stand_beside_the_articles(models: dict, rows: Rows) -> None:
    table = components([models["byte_gpt"]], rows).tables["components"]
    published = article_parameters("byte_gpt")
    assert len(published) > 5
    for name, theirs in published.items():
        (row,) = table[table["component"] == name].itertuples()
        assert (row.parameters, row.article_parameters, row.difference) == (theirs, theirs, 0)


def test_two_sentences_are_learned_from_the_loss_of_a_guess(
    models: dict, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_text, "STEPS", (2, 60))
    result = small_text.two_sentences([models["byte_gpt"]], rows)
    losses = result.tables["losses"]
    assert losses.groupby("steps").size().to_dict() == {2: 2, 60: 60}
    long = losses[losses["steps"] == 60]["train_loss_nats"]
    assert long.iloc[0] == pytest.approx(5.55, abs=0.15)
    assert long.iloc[-5:].mean() < 4.2
    # the same seed begins both runs alike
    assert losses[losses["step"] == 1]["train_loss_nats"].nunique() == 1


def test_every_family_has_its_analyses(rows_of: Callable) -> None:
    ladder = analyses_of("ladder")
    assert "article" in ladder
    assert not {"components", "two_sentences"} & set(ladder)
    assert "two_sentences" in analyses_of("numpy_gpt")
    for family in FAMILIES:
        five = {"position_blindness", "attention", "logit_lens", "activation_patching",
                "moe_routing"}  # fmt: skip
        assert five <= set(analyses_of(family)) <= set(ANALYSES)
