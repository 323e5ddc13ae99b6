"""Recipes say what the article did, and refuse what cannot run."""

from __future__ import annotations

import json
import re
from typing import Any, get_args, get_type_hints

import pytest

from lt_interp.article import article
from lt_interp.errors import InputError
from lt_interp.stages import LADDER, STAGES
from lt_interp.training.recipe import Recipe, recipe_for
from lt_interp.training.run_folder import read_card, shipped_checkpoints, shipped_folder


def test_the_articles_recipe_is_the_articles() -> None:
    training = article()["training"]
    recipe = recipe_for("article", "09_multi_head")
    assert training["optimizer"] == "AdamW, lr 1e-3 constant, PyTorch defaults otherwise"
    assert recipe.optimizer == "adamw"
    assert recipe.lr == recipe.lr_embed == recipe.lr_unembed == 1e-3
    assert (recipe.betas, recipe.weight_decay) == ((0.9, 0.999), 0.01)
    assert {recipe.lr_scale(step, 100) for step in range(100)} == {1.0}
    assert recipe.batch_rows == training["batch_rows"]
    assert recipe.precision == training["precision"] == "float32"
    assert recipe.initialisation == "pytorch"
    assert recipe.clip_norm == 0
    assert recipe.epochs == 1
    train_rows = article()["corpus"]["train_sequences"]
    assert recipe.total_steps(train_rows) == training["steps_per_epoch"]


def test_the_articles_exceptions() -> None:
    assert article()["training"]["exceptions"] == (
        "stages 01 and 02: 256 rows a batch, 3 epochs, only the last token of each row is "
        "predicted; stage 04: 3 epochs; n-grams: 5,000 steps"
    )
    for stage_id in LADDER:
        recipe = recipe_for("article", stage_id)
        bag = bool(re.match("01|02", stage_id))
        assert recipe.last_token_only == bag
        assert recipe.batch_rows == (256 if bag else 64)
        if stage_id.startswith("03b"):
            assert recipe.total_steps(64) == recipe.total_steps(10**6) == 5000
        else:
            assert recipe.epochs == (3 if bag or stage_id == "04_attention" else 1)
            assert recipe.max_steps is None


@pytest.mark.parametrize(
    ("stage_id", "rate", "rows", "steps", "decay"),
    [("byte_gpt", 3e-4, 1, 50, 0.0), ("char_untied", 3e-4, 32, 10_000, 0.01)],
)
def test_the_other_articles_recipes(
    stage_id: str, rate: float, rows: int, steps: int, decay: float
) -> None:
    recipe = recipe_for("article", stage_id)
    assert recipe.lr == recipe.lr_embed == recipe.lr_unembed == rate
    assert (recipe.batch_rows, recipe.weight_decay) == (rows, decay)
    assert recipe.total_steps(64) == recipe.total_steps(10**6) == steps
    assert (recipe.optimizer, recipe.betas) == ("adamw", (0.9, 0.999))
    assert (recipe.initialisation, recipe.schedule) == ("normal", "constant")


def test_the_four_layer_gpt_gathers_128_rows_in_parts_of_eight() -> None:
    recipe = recipe_for("article", "gpt_rope")
    assert (recipe.batch_rows, recipe.batch_rows // recipe.accumulate) == (128, 8)
    assert recipe.lr == recipe.lr_embed == 1e-4


def test_the_numpy_gpt_learns_from_slices_of_33_bytes() -> None:
    assert recipe_for("article", "byte_gpt").row_tokens == 33
    assert {recipe_for("article", stage_id).row_tokens for stage_id in LADDER} == {None}


def test_the_ladders_recipe_is_one_rule_but_for_long_runs() -> None:
    plain = recipe_for("ladder", "10_moe")
    assert (plain.epochs, plain.lr, plain.lr_embed, plain.lr_unembed) == (1, 1e-2, 3e-2, 1e-2)
    lower = {"lr": 5e-3, "lr_embed": 1.5e-2, "lr_unembed": 5e-3}
    twice = ("03_bigram", "04_attention", "05_attn_position", "06_ffn")
    passes = dict.fromkeys(twice, 2) | dict.fromkeys(
        ("07_block", "08_two_blocks", "09_multi_head"), 7
    )
    before = {"betas": [0.9, 0.98], "initialisation": "fan_in"}
    for stage_id in STAGES:
        recipe = recipe_for("ladder", stage_id)
        changes = {"epochs": passes[stage_id], **lower} if stage_id in passes else {}
        changes |= {} if stage_id in LADDER else {"epochs": 0.4, "lr_embed": 0.1, **before}
        changes |= {"balance_weight": 0.01} if stage_id == "10_moe_gated" else {}
        assert recipe.to_dict() == plain.to_dict() | changes
    assert recipe_for("ladder", "09_multi_head", epochs=0.4).lr == plain.lr
    assert recipe_for("ladder", "09_multi_head", epochs=7).lr == lower["lr"]


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_the_shipped_models_were_trained_by_the_recipe_as_it_is(name: str) -> None:
    identity = read_card(shipped_folder(name))["identity"]
    recipe = recipe_for(identity["recipe"]["name"], identity["stage"]).to_dict()
    assert recipe | identity["recipe"] == recipe  # an older card may lack a field added since


def test_changes_and_what_is_left_alone() -> None:
    recipe = recipe_for("article", "01_bag_of_words", batch_rows=8, epochs=None)
    assert (recipe.batch_rows, recipe.epochs) == (8, 3)
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = recipe_for("ladder", "06_ffn", warmup_steps=10, schedule="linear")
    scales = [recipe.lr_scale(step, 100) for step in range(100)]
    assert scales[0] == pytest.approx(0.1)
    assert scales[:10] == sorted(scales[:10])
    assert scales[50] == pytest.approx(0.5)
    assert scales[99] == pytest.approx(0.01)
    assert scales[10:] == sorted(scales[10:], reverse=True)


def test_a_short_decay_leaves_runs_of_different_lengths_one_beginning() -> None:
    short, long = (recipe_for("ladder", "06_ffn", epochs=e, decay_share=0.2) for e in (1.0, 2.0))
    early = [short.lr_scale(step, 1000) for step in range(800)]
    assert early == [long.lr_scale(step, 2000) for step in range(800)]
    assert early[799] == 1.0
    assert short.lr_scale(900, 1000) == pytest.approx(0.5)
    assert short.lr_scale(999, 1000) == pytest.approx(0.005)


def test_steps_of_a_corpus() -> None:
    recipe = recipe_for("ladder", "06_ffn", batch_rows=4)
    assert recipe_for("ladder", "06_ffn", batch_rows=4, epochs=3).total_steps(11) == 6
    assert recipe_for("ladder", "06_ffn", batch_rows=4, epochs=0.5).total_steps(11) == 1
    assert recipe_for("ladder", "06_ffn", batch_rows=4, epochs=9, max_steps=5).total_steps(11) == 5
    with pytest.raises(InputError, match="3 rows make no batch of 4"):
        recipe.total_steps(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be above 0"),
        ({"batch_rows": -2}, "batch_rows must be above 0"),
        ({"accumulate": 3}, "accumulate must part batch_rows 8 equally, not 3"),
        ({"accumulate": 0}, "accumulate must part"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"decay_share": 0.0}, "decay_share must be above 0"),
        ({"decay_share": float("nan")}, "decay_share must be above 0"),
        ({"validate_every": 7}, "multiple of log_every"),
        ({"epochs": float("inf")}, "epochs must be above 0 and finite, not inf"),
        ({"lr": -1e-3}, "lr must be above 0"),
        ({"lr_embed": -1e-3}, r"lr_embed must be 0 or more and finite, not -0\.001"),
        ({"lr_unembed": float("nan")}, "lr_unembed must be 0 or more"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"warmup_steps": -5}, "warmup_steps must be 0 or more and finite, not -5"),
        ({"clip_norm": -1.0}, "clip_norm must be 0 or more"),
        ({"balance_weight": float("inf")}, "balance_weight must be 0 or more and finite, not inf"),
        ({"max_steps": 0}, "max_steps must be 1 or more, not 0"),
        ({"row_tokens": 1}, "row_tokens must be 2 or more, not 1"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers .* below 1, not \(0\.9, 1\.0\)"),
        ({"betas": (-0.1, 0.9)}, "betas must be"),
        ({"betas": (0.9, float("nan"))}, "betas must be"),
    ],
)
def test_a_recipe_that_cannot_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe_for("ladder", "06_ffn", **changes)


def refusal(name: str, value: Any) -> str:
    """What a recipe says of a value that annotations, checked while tests run, would refuse."""
    recipe = recipe_for("ladder", "06_ffn")
    object.__setattr__(recipe, name, value)
    with pytest.raises(InputError) as caught:
        recipe.__post_init__()
    return str(caught.value)


@pytest.mark.parametrize("name", ["optimizer", "schedule", "initialisation", "precision"])
def test_a_choice_that_there_is_not(name: str) -> None:
    choices = get_args(get_type_hints(Recipe)[name])
    for choice in choices:
        assert getattr(recipe_for("ladder", "06_ffn", **{name: choice}), name) == choice
    allowed = ", ".join(map(repr, choices))
    assert refusal(name, "xavier") == f"{name} is 'xavier'; allowed: {allowed}"


def test_betas_are_two() -> None:
    assert refusal("betas", (0.9,)).startswith("betas must be two numbers")


def test_a_rate_of_zero_and_no_clipping_can_run() -> None:
    off = dict.fromkeys(("lr_embed", "lr_unembed", "weight_decay", "clip_norm"), 0.0)
    assert recipe_for("ladder", "06_ffn", **off, warmup_steps=0).to_dict().items() >= off.items()


def test_an_unknown_recipe() -> None:
    with pytest.raises(InputError, match="allowed: article, ladder"):
        recipe_for("notebook", "06_ffn")
