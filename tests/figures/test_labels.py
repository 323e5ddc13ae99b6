from __future__ import annotations

import pandas as pd

from lt_interp.figures.labels import main_runs, other_runs, stage_label, step_name
from lt_interp.stages import LADDER


def test_every_stage_of_the_ladder_has_a_label_of_its_own():
    labels = [stage_label(stage) for stage in LADDER]
    assert len(set(labels)) == len(LADDER)
    assert not set(labels) & set(LADDER)


def test_labels_are_the_articles_words():
    assert step_name("05_attn_position") == "+ Position"
    assert stage_label("05_attn_position") == "05 + Position"
    assert stage_label("my_model") == "my_model"


def test_runs_are_parted_by_the_first_row_of_each_stage():
    table = pd.DataFrame({"stage": ["b", "a", "b", "a"], "seed": [0, 0, 1, 2]})
    assert main_runs(table)["seed"].tolist() == [0, 0]
    assert main_runs(table)["stage"].tolist() == ["b", "a"]
    assert other_runs(table)["seed"].tolist() == [1, 2]
