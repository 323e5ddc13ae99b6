"""What the stages are called in figures and pages: the article's words for its steps."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.visible import label

_STEPS = {
    "01_bag_of_words": "Bag of words",
    "02_bow_position": "+ Position",
    "03_bigram": "Bigram",
    "03b_trigram": "Trigram",
    "03b_fourgram": "4-gram",
    "04_attention": "+ Attention",
    "05_attn_position": "+ Position",
    "06_ffn": "+ FFN",
    "07_block": "+ Residual/LN",
    "08_two_blocks": "+ Depth",
    "09_multi_head": "+ Multi-head",
    "10_moe": "+ MoE",
    "10_moe_gated": "+ MoE, gated",
}


def step_name(stage: str) -> str:
    """The article's name of a step, such as `"+ Attention"`; the id of a stage it does not know."""
    return _STEPS.get(stage, label(stage))


def stage_label(stage: str) -> str:
    """The number of a stage and its step, such as `"04 + Attention"`: short and unambiguous."""
    return f"{stage.split('_')[0]} {_STEPS[stage]}" if stage in _STEPS else label(stage)


def perplexity_text(value: float) -> str:
    """Two decimals below 100, one from there on: `"8.31"`, `"270.8"`."""
    return f"{value:,.2f}" if float(f"{value:.2f}") < 100 else f"{value:,.1f}"


def main_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The first row of every stage, in the order of the table.

    A stage trained with more than one seed has a row for each; the first is the one the ladder
    stands on.
    """
    return table.drop_duplicates("stage", keep="first")


def other_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that `main_runs` leaves out: further seeds of a stage."""
    return table[table.duplicated("stage", keep="first")]
