"""The two recorded runs that the time to the goal is counted from."""

from __future__ import annotations

import dataclasses
import json

from benchmarks.perplexity import GOAL, OURS, STAGE, THEIRS, our_tokens, their_tokens, validations
from lt_interp.training.recipe import recipe_for


def test_ours_reached_the_goal_at_its_last_validation() -> None:
    tokens, perplexities = zip(*validations(OURS), strict=True)
    assert our_tokens() == tokens[-1]
    assert min(perplexities[:-1], default=GOAL + 1) > GOAL


def test_theirs_was_above_the_goal_where_it_is_counted_to_and_reached_it_next() -> None:
    points = validations(THEIRS)
    place = [tokens for tokens, _ in points].index(their_tokens())
    assert min(perplexity for _, perplexity in points[: place + 1]) > GOAL
    assert points[place + 1][1] <= GOAL


def test_theirs_is_the_articles_recipe_on_the_text_of_ours() -> None:
    ours, theirs = (json.loads((run / "run.json").read_text()) for run in (OURS, THEIRS))
    assert theirs["corpus"] == ours["corpus"]
    assert theirs["validation"] == ours["validation"]
    identity = theirs["identity"]
    assert identity["model"] == ours["identity"]["model"]
    recipe = json.loads(json.dumps(dataclasses.asdict(recipe_for("article", STAGE, epochs=5.0))))
    assert identity["recipe"] == recipe
    assert identity["precision"] == "float32"
